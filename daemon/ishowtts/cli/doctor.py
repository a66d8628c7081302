"""`ishowtts doctor`: examines every part of the installation and names a fix for each fault."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ishowtts.board import gpu_specs
from ishowtts.board.detect import detect_board
from ishowtts.cli.common import Commands, file_faults, print_json, read_config
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.engines import build
from ishowtts.engines.voices.voice_library import open_voice_library
from ishowtts.errors import IShowError, SpeakerError
from ishowtts.mqtt.client import ShortLivedClient
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.playback import chime_files
from ishowtts.playback.alsa import sound_cards
from ishowtts.playback.build_player import choose_speaker
from ishowtts.speech import speech_policy
from ishowtts.util import child_process, files

FindingVerdict = Literal["ok", "note", "fault"]
_FREE_MB = 500
_PROBE_S = 120


@dataclass(frozen=True)
class Finding:
    """Result for one part; `fix` says what to do about it."""

    part: str
    verdict: FindingVerdict
    detail: str
    fix: str | None = None


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", parents=[common])
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if nothing is faulty."""
    settings = read_config(arguments)
    findings = list(examine(settings))
    if arguments.json:
        print_json([asdict(finding) for finding in findings])
    else:
        table = Table("part", "", "found", "fix", box=None)
        colours = {"ok": "green", "note": "yellow", "fault": "red"}
        for finding in findings:
            verdict = f"[{colours[finding.verdict]}]{finding.verdict}[/]"
            table.add_row(finding.part, verdict, escape(finding.detail), escape(finding.fix or ""))
        Console().print(table)
    return 1 if any(finding.verdict == "fault" for finding in findings) else 0


def examine(settings: Config) -> Iterator[Finding]:
    """Examine every part. An error in one part is reported as its fault, and the next part is examined."""
    parts: dict[str, Callable[[Config], Iterator[Finding]]] = {
        "board": _board,
        "torch": _torch,
        "engine": _engine,
        "fallback voice": _fallback,
        "voices": _voices,
        "sound": _sound,
        "chime": _chime,
        "mixer": _mixer,
        "text": _text,
        "secrets": _secrets,
        "broker": _broker,
        "folders": _folders,
    }
    for name, check in parts.items():
        try:
            yield from check(settings)
        except IShowError as error:
            yield Finding(name, "fault", str(error))
        except PermissionError as error:
            yield Finding(name, "fault", f"{error.filename} cannot be opened by this user", "run this with sudo")


def _board(settings: Config) -> Iterator[Finding]:
    board = detect_board(settings.board.source, settings.board.sysfs_root)
    identity, reading = board.identity(), board.read()
    if identity.jetpack is None:
        yield Finding(
            "board",
            "note",
            f"{identity.model or 'no Jetson'}; telemetry shows null for sensors that it lacks",
        )
        return
    yield Finding("board", "ok", f"{identity.model}, {identity.jetpack}, power mode {reading.power_mode or 'unknown'}")
    clock = f"GPU {reading.gpu_clock_mhz} of {reading.gpu_clock_max_mhz} MHz"
    if reading.gpu_clock_locked:
        yield Finding("clocks", "ok", f"{clock}, locked")
    else:
        yield Finding("clocks", "note", f"{clock}, not locked", "systemctl start ishowtts-clocks")


def _torch(_: Config) -> Iterator[Finding]:
    command = child_process.command("ishowtts.engines.f5.device_probe")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        yield Finding("torch", "fault", f"torch did not answer within {_PROBE_S} s", "look at dmesg for GPU errors")
        return
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield Finding("torch", "fault", f"torch does not start: {last}", "run install.sh again")
        return
    found = json.loads(done.stdout.splitlines()[-1])
    versions = f"torch {found['torch']}, built for CUDA {found['cuda_build'] or 'none'}"
    if found["cuda_fault"] is None:
        yield Finding("torch", "ok", f"{versions}, a matrix product on {found['gpu']} is correct")
        yield gpu_finding(found)
    elif found["gpu"]:
        yield Finding(
            "torch", "fault", f"{versions}, but {found['gpu']} cannot compute: {found['cuda_fault']}",
            "install the torch wheel of this JetPack: install.sh --torch",
        )  # fmt: skip
    else:
        yield Finding("torch", "note", f"{versions}; no GPU here, F5 runs on the CPU")


def gpu_finding(found: dict[str, Any]) -> Finding:
    """Compare the measured speed of the GPU with its data sheet."""
    rates = found["rates"]
    if rates["fault"] is not None:
        return Finding(
            "GPU", "note", f"its speed could not be measured: {rates['fault']}", "stop the daemon and try again"
        )
    board = gpu_specs.identify(found["gpu"], rates["sms"], rates["memory_mb"], rates["clock_mhz"])
    measured = gpu_specs.MeasuredRates(rates["flop_per_s"], rates["bytes_per_s"], board)
    if rates["flash_fault"] is not None:
        fix = "install the torch wheel of this JetPack: install.sh --torch"
        return Finding("GPU", "note", f"{measured}; {rates['flash_fault']}, a slower one is used", fix)
    if rates["fused_fault"] is not None:
        fix = "apt-get install gcc python3-dev; on JetPack 6 install.sh --torch with triton beside the torch wheels"
        return Finding("GPU", "note", f"{measured}; {rates['fused_fault']}: synthesis is slower", fix)
    if measured.slow:
        fix = "choose power mode MAXN and systemctl start ishowtts-clocks; check whether another program uses the GPU"
        return Finding("GPU", "note", f"{measured}; flash attention works", fix)
    return Finding("GPU", "ok", f"{measured}; flash attention works")


def _engine(settings: Config) -> Iterator[Finding]:
    chosen = build.choose_engine(settings)
    if chosen.problem:
        yield Finding("engine", "fault", chosen.problem, "ishowtts fetch")
    elif chosen.kind == "espeak" and settings.engine.kind == "auto":
        yield Finding("engine", "note", f"espeak: {chosen.why}", "ishowtts fetch")
    else:
        yield Finding("engine", "ok", f"{chosen.kind}: {chosen.why}")


def _fallback(settings: Config) -> Iterator[Finding]:
    program = shutil.which("espeak-ng")
    if program:
        yield Finding("fallback voice", "ok", f"{program}, voice {settings.engine.espeak_voice}")
    else:
        verdict: FindingVerdict = "fault" if settings.engine.fallback or settings.engine.kind == "espeak" else "note"
        yield Finding("fallback voice", verdict, "espeak-ng is not installed", "apt-get install espeak-ng")


def _voices(settings: Config) -> Iterator[Finding]:
    library = open_voice_library(settings)
    wanted = settings.engine.f5.default_voice
    library.find(wanted)
    yield Finding("voices", "ok", f"{', '.join(library.names())}; default {wanted}")


def _sound(settings: Config) -> Iterator[Finding]:
    yield _device("sound", settings.audio.device)
    if settings.audio.when_lost not in ("wait", "drop"):
        yield _device("substitute device", settings.audio.when_lost)


def _device(part: str, device: str) -> Finding:
    chosen = choose_speaker(device)
    found = f"{chosen.speaker.name}: {chosen.why}"
    if device == "silent":
        return Finding(part, "note", f"{found}; nothing can be heard", "name a sound card, or auto, in audio.device")
    if device.startswith("wav:"):
        return Finding(part, "ok", found)
    try:
        chosen.speaker.open(24_000)
    except SpeakerError as error:
        holder = sound_cards.holder(chosen.speaker.name)
        if holder is None or not holder.startswith(sound_cards.OWN_DAEMON):
            return Finding(part, "fault", str(error))
        return Finding(part, "ok", f"{found}; {holder} has it open")
    finally:
        chosen.speaker.close()
    return Finding(part, "ok", found)


def _chime(settings: Config) -> Iterator[Finding]:
    chimes = speech_policy.chime_files(settings)
    wanted = settings.audio.chime
    name = chime_files.DEFAULT if isinstance(wanted, bool) else wanted
    chimes.find(name)
    if wanted is not False:
        yield Finding("chime", "ok", f"{name}, of {', '.join(chimes.names())}")


def _mixer(settings: Config) -> Iterator[Finding]:
    device = choose_speaker(settings.audio.device).speaker.name
    control = settings.audio.of(device).mixer
    if control is None:
        return
    if device.startswith(("silent", "wav:")):
        yield Finding("mixer", "note", f"audio.mixer has no effect: the sound goes to {device}, which is not a card")
        return
    # ALSA's library is loaded only where there is a card.
    from ishowtts.playback.alsa.card_mixer import CardMixer

    yield Finding("mixer", "ok", CardMixer(device, control).check())


def _text(settings: Config) -> Iterator[Finding]:
    faults = file_faults(settings)
    for fault in faults:
        yield Finding("text", "fault", fault, "fix that file; the daemon reloads it by itself")
    named = [str(path) for path in (settings.text.pronunciations, settings.policies.blocked.file) if path]
    if named and not faults:
        yield Finding("text", "ok", ", ".join(named))


def _secrets(settings: Config) -> Iterator[Finding]:
    named = (settings.mqtt.password_file, settings.mqtt.tls.key)
    handed_over = (DEFAULT_PATH.with_name(name) for name in ("mqtt-password", "mqtt-tls-key"))
    for path in filter(None, (*named, *handed_over)):
        if path.exists() and path.stat().st_mode & stat.S_IRWXO:
            yield Finding("secrets", "note", f"{path} is readable by every user of this machine", f"chmod o= {path}")


def _broker(settings: Config) -> Iterator[Finding]:
    root = settings.root_topic(detect_board(settings.board.source, settings.board.sysfs_root).identity().serial)
    with ShortLivedClient(MqttOptions.from_config(settings, root)):
        yield Finding("broker", "ok", f"{settings.mqtt.host}:{settings.mqtt.port} accepts us; our topics are {root}/…")


def _folders(settings: Config) -> Iterator[Finding]:
    folders = {"state_dir": settings.state_dir, "cache_dir": settings.cache_dir}
    if settings.audio.record_dir is not None:
        folders["audio.record_dir"] = settings.audio.record_dir
    try:
        files.refuse_foreign(settings.data_folder)
    except OSError as error:
        yield Finding("data_dir", "note", str(error.strerror), "run install.sh again, or give that folder to root")
    for name, path in folders.items():
        existing = _first_existing(path)
        if not existing.is_dir():
            yield Finding(name, "fault", f"{existing} is not a folder", f"name a folder in {name}")
            continue
        if not os.access(existing, os.W_OK):
            yield Finding(
                name,
                "fault",
                f"{path} cannot be written by this user",
                f"run this with sudo, or chown {path} to the user of the daemon",
            )
            continue
        free_mb = shutil.disk_usage(existing).free / 1e6
        verdict: FindingVerdict = "ok" if free_mb > _FREE_MB else "fault"
        yield Finding(
            name,
            verdict,
            f"{path}, {free_mb:.0f} MB free",
            None if verdict == "ok" else "make room on that disk",
        )


def _first_existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
