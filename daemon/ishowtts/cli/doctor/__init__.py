"""`ishowtts doctor`: examines every part of the installation and names a fix for each fault."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec

from ishowtts.cli import config_files, engine_findings
from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.cli.doctor import installation, rendering_boards, running_daemon, speech_parts
from ishowtts.cli.doctor.machine_parts import TorchProbe, examine_board
from ishowtts.cli.doctor.sensor_parts import examine_sensors
from ishowtts.cli.findings import Finding, as_part, fault, print_finding
from ishowtts.config import Config
from ishowtts.errors import IShowError

_PROBE = TorchProbe()


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", parents=[common])
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if nothing is faulty. Each finding is printed as soon as it is known."""
    with _PROBE:
        findings = []
        for finding in examine(read_config(arguments)):
            findings.append(finding)
            if not arguments.json:
                print_finding(finding)
    if arguments.json:
        print_json([asdict(finding) for finding in findings])
    return 1 if any(finding.verdict == "fault" for finding in findings) else 0


def examine(settings: Config) -> Iterator[Finding]:
    """Examine every part. An error in one part is reported as its fault, and the next part is examined."""
    parts: dict[str, Callable[[Config], Iterator[Finding]]] = {
        "installation": installation.examine_installation,
        "daemon": running_daemon.examine_daemon,
        "engine": speech_parts.examine_engine,
        "boards": rendering_boards.examine_boards,
        "natural voice": speech_parts.examine_natural_voice,
        "fallback voice": speech_parts.examine_fallback,
        "voices": speech_parts.examine_voices,
        "sound": speech_parts.examine_sound,
        "mixer": speech_parts.examine_mixer,
        "chime": lambda settings: as_part("chime", config_files.examine_chime(settings)),
        "text": lambda settings: as_part("text", config_files.examine_words(settings)),
        "secrets": _secrets,
        "folders": config_files.examine_folders,
        "board": examine_board,
        "sensors": examine_sensors,
        "torch": _torch,
    }
    for name, check in parts.items():
        try:
            yield from check(settings)
        except IShowError as error:
            yield fault(name, error)
        except PermissionError as error:
            yield Finding(name, "fault", f"{error.filename} cannot be opened by this user", "run this with sudo")
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            yield Finding(name, "fault", f"{where}{error.strerror or error}", "see dmesg; the disk may be failing")


def _torch(settings: Config) -> Iterator[Finding]:
    """What the probe says. It is last, since the probe takes longest."""
    if find_spec("torch") is None and not engine_findings.may_speak(settings, "f5"):
        yield Finding("torch", "ok", "it is not installed, and nothing here needs it")
        return
    yield from _PROBE.findings()


def _secrets(settings: Config) -> Iterator[Finding]:
    """What is wrong with the secret files; the row of the broker shows that they work."""
    for finding in as_part("secrets", config_files.examine_secrets(settings)):
        if finding.verdict != "ok":
            yield finding
