"""Which sound device, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ishowtts.playback import Speaker
from ishowtts.playback.silent import SilentSpeaker
from ishowtts.playback.wavfile import WavSpeaker

_ASOUND = Path("/proc/asound")
_USB, _OTHER, _HDMI, _NEVER = range(4)


@dataclass(frozen=True)
class Chosen:
    """A speaker, not opened yet, and one sentence why it was chosen."""

    speaker: Speaker
    why: str


@dataclass(frozen=True)
class Device:
    """A playback device of a card: `pcm` is what `audio.device` takes, the same after a reboot."""

    pcm: str
    description: str
    note: str | None
    rank: int


def choose(device: str, asound: Path = _ASOUND) -> Chosen:
    """The speaker for `audio.device`: auto, silent, wav:PATH, or any ALSA PCM.

    Args:
        asound: ALSA's folder in /proc.
    """
    if device == "silent":
        return Chosen(SilentSpeaker(), "audio.device is silent")
    if device.startswith("wav:"):
        return Chosen(WavSpeaker(Path(device.removeprefix("wav:"))), "audio.device says so")
    # The library is loaded only where there is a card to play on.
    from ishowtts.playback.alsa import AlsaSpeaker

    if device != "auto":
        return Chosen(AlsaSpeaker(device), "audio.device says so")
    usable = [found for found in list_devices(asound) if found.rank != _NEVER]
    if not usable:
        return Chosen(SilentSpeaker(), "there is no sound card with something attached")
    best = usable[0]
    others = f", before {', '.join(found.pcm for found in usable[1:])}" if usable[1:] else ""
    return Chosen(AlsaSpeaker(best.pcm), f"audio.device is auto: {best.description}{others}")


def list_devices(asound: Path = _ASOUND) -> list[Device]:
    """Every playback device, the best first: USB, then others, then HDMI with a screen; the rest are never chosen."""
    devices = []
    for line in _lines(asound / "pcm"):
        match = re.fullmatch(r"(\d+)-(\d+): (.*?) : (.*?) : .*playback.*", line)
        if match is None:
            continue
        card = asound / f"card{int(match[1])}"
        card_id = next(iter(_lines(card / "id")), "")
        if card_id:
            devices.append(_device(card, card_id, int(match[2]), match[3].strip()))
    return sorted(devices, key=lambda found: found.rank)


def _device(card: Path, card_id: str, number: int, name: str) -> Device:
    pcm = f"plughw:CARD={card_id},DEV={number}"
    if card_id == "APE":
        return Device(pcm, name, "Jetson's internal crossbar; nothing is attached unless you wired it", _NEVER)
    if "hdmi" in f"{card_id} {name}".lower() or "hda" in card_id.lower():
        if _screen_attached(card):
            return Device(pcm, name, "HDMI or DisplayPort; a screen is on one of this card's devices", _HDMI)
        return Device(pcm, name, "HDMI or DisplayPort with nothing attached", _NEVER)
    if (card / "usbid").exists():
        return Device(pcm, name, "USB", _USB)
    return Device(pcm, name, None, _OTHER)


def _screen_attached(card: Path) -> bool:
    """A screen tells what it can play (ELD); without one the card takes sound that nobody hears.

    Which of the card's devices it hangs on, /proc does not tell for all drivers: the note says so.
    """
    return any(re.match(r"monitor_present\s+1", line) for eld in card.glob("eld#*") for line in _lines(eld))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
