"""`ishowtts devices`: lists the sound devices of this machine, and plays a test tone."""

from __future__ import annotations

import argparse
from dataclasses import asdict

import numpy as np

from ishowtts.cli.common import Commands, print_json, read_config, volume
from ishowtts.cli.tables import print_table, print_text
from ishowtts.config.audio_section import AudioSection, audio_device
from ishowtts.errors import ConfigError, SpeakerError
from ishowtts.playback.alsa.card_silence import card_silence
from ishowtts.playback.alsa.sound_cards import list_devices
from ishowtts.playback.build_player import choose_speaker, device_timing
from ishowtts.playback.tones import blocks, two_notes

_RATE_HZ = 24_000
_BLOCK_SAMPLES = 240
_CONFIGURED = ""


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("devices", parents=[common])
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--test",
        nargs="?",
        const=_CONFIGURED,
        metavar="NAME",
        help="play two notes on this device (auto, silent, wav:PATH, pipe:PATH or an ALSA name; default: the "
        "configured one)",
    )
    parser.add_argument(
        "--volume", type=volume, metavar="N", help="volume of the notes, 0 to 100 (default: the configured volume)"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """List the cards by the names that `audio.device` takes, or play the notes.

    Raises:
        SpeakerError: the device cannot play the notes.
        ConfigError: --volume without --test.
    """
    if arguments.test is not None:
        audio = read_config(arguments).audio
        level = audio.volume if arguments.volume is None else arguments.volume
        return _play(audio, arguments.test or audio.device, level)
    if arguments.volume is not None:
        raise ConfigError(["ishowtts devices: --volume needs --test"])
    devices = list_devices()
    silences = {device.pcm: card_silence(device.pcm) for device in devices}
    if arguments.json:
        described = ((asdict(device), silences[device.pcm]) for device in devices)
        print_json([{**fields, "silent": silence and silence.sentence} for fields, silence in described])
        return 0
    if not devices:
        print_text("there is no sound card; audio.device also takes `silent`, `wav:PATH` and `pipe:PATH`")
        return 0
    rows = [(device.pcm, device.description, device.note or "") for device in devices]
    print_table(("audio.device", "card", ""), rows)
    for sentence in dict.fromkeys(silence.sentence for silence in silences.values() if silence):
        print_text(sentence)
    auto = choose_speaker("auto")
    print_text(f"auto takes {auto.speaker.name}: {auto.why}" if auto.speaker.name != "auto" else f"auto: {auto.why}")
    return 0


def _play(audio: AudioSection, device: str, level: int) -> int:
    """Play two notes through the same speaker code as the daemon."""
    try:
        audio_device(device)
    except ValueError as error:
        raise SpeakerError(f"{device[:80]!r} is not a sound device: {error}; see `ishowtts devices`") from error
    speaker = choose_speaker(device).speaker
    try:
        speaker.open(_RATE_HZ)
        print(f"two notes on {speaker.name}, at volume {level}", flush=True)
        silence = np.zeros(int(device_timing(audio, speaker.name).wake_s * _RATE_HZ), np.int16)
        for block in blocks(np.concatenate([silence, two_notes(_RATE_HZ)]), level, _BLOCK_SAMPLES):
            speaker.write(block)
        speaker.drain()
    finally:
        speaker.close()
    print("played; the device silent makes no sound" if device == "silent" else "played to the end")
    return 0
