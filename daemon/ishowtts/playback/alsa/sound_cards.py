"""The sound cards of this machine, as /proc/asound shows them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

ASOUND = Path("/proc/asound")
OURS = "ishowtts "
"""How the holder of a device begins where it is a daemon of ours."""
DEV = Path("/dev/snd")
_PROC = Path("/proc")


class DeviceRank(IntEnum):
    """Which card `auto` takes: the lower, the better."""

    USB, OTHER, HDMI, NEVER = range(4)


@dataclass(frozen=True)
class SoundDevice:
    """A playback device of a card: `pcm` is what `audio.device` takes, the same after a reboot."""

    pcm: str
    description: str
    note: str | None
    rank: DeviceRank


def list_devices(asound: Path = ASOUND) -> list[SoundDevice]:
    """Every playback device, the best first: USB, then others, then HDMI with a screen; the rest are never chosen."""
    devices = []
    for line in _lines(asound / "pcm"):
        match = re.fullmatch(r"(\d+)-(\d+): (.*?) : (.*?) : .*playback.*", line)
        if match is None:
            continue
        card = asound / f"card{int(match[1])}"
        card_id = next(iter(_lines(card / "id")), "")
        if card_id:
            devices.append(_device(card, card_id, int(match[2]), _printable(match[3].strip())))
    return sorted(devices, key=lambda found: found.rank)


def is_gone(pcm: str, asound: Path = ASOUND) -> bool:
    """Whether a card that is named outright is not among those of this machine; of other names nothing is known."""
    named = _named(pcm)
    return named is not None and asound.is_dir() and _card(named[0], asound) is None


def is_closed(pcm: str, asound: Path = ASOUND, dev: Path = DEV) -> bool:
    """Whether a card is there and this user may not use it: ALSA then says the same as of one that is absent."""
    named = _named(pcm)
    card = _card(named[0], asound) if named else None
    control = dev / f"controlC{card.name.removeprefix('card')}" if card else None
    return control is not None and control.exists() and not os.access(control, os.R_OK | os.W_OK)


def holder(pcm: str, asound: Path = ASOUND) -> str | None:
    """Which process has a card's device open, as "NAME (process 12)"; None where /proc does not tell."""
    named = _named(pcm)
    card = _card(named[0], asound) if named else None
    if named is None or card is None:
        return None
    for status in sorted(_found(card / f"pcm{named[1]}p", "sub*/status")):
        for line in _lines(status):
            if match := re.fullmatch(r"owner_pid\s*: (\d+)", line):
                return _process(match[1])
    return None


def _process(thread: str) -> str:
    """The kernel remembers the thread that opened it."""
    told = dict(line.split(":\t", 1) for line in _lines(_PROC / thread / "status") if ":\t" in line)
    process = told.get("Tgid", thread)
    name = next(iter(_lines(_PROC / process / "comm")), "a program")
    words = "\n".join(_lines(_PROC / process / "cmdline")).split("\0")
    if "ishowtts" in (Path(word).name for word in words):
        name = OURS.strip()
    return f"{name} (process {process})"


def _named(pcm: str) -> tuple[str, int] | None:
    """The card and the device in `hw:…` or `plughw:…`."""
    match = re.fullmatch(r"(?:plug)?hw:(?:CARD=)?([A-Za-z0-9_-]+)(?:,(?:DEV=)?(\d+))?(?:,.*)?", pcm)
    return (match[1], int(match[2] or 0)) if match else None


def _card(name: str, asound: Path) -> Path | None:
    if name.isdigit():
        card = asound / f"card{int(name)}"  # to ALSA, hw:03 is hw:3
        return card if card.is_dir() else None
    return next((path.parent for path in _found(asound, "card*/id") if _lines(path)[:1] == [name]), None)


def _device(card: Path, card_id: str, number: int, name: str) -> SoundDevice:
    pcm = f"plughw:CARD={card_id},DEV={number}"
    if card_id == "APE":
        return SoundDevice(
            pcm, name, "Jetson's internal crossbar; nothing is attached unless you wired it", DeviceRank.NEVER
        )
    if "hdmi" in f"{card_id} {name}".lower() or "hda" in card_id.lower():
        if _screen_attached(card):
            return SoundDevice(
                pcm, name, "HDMI or DisplayPort; a screen is on one of this card's devices", DeviceRank.HDMI
            )
        return SoundDevice(pcm, name, "HDMI or DisplayPort with nothing attached", DeviceRank.NEVER)
    if (card / "usbid").exists():
        return SoundDevice(pcm, name, "USB", DeviceRank.USB)
    return SoundDevice(pcm, name, None, DeviceRank.OTHER)


def _screen_attached(card: Path) -> bool:
    """A screen tells what it can play (ELD); without one the card takes sound that nobody hears.

    Which of the card's devices it hangs on, /proc does not tell for all drivers: the note says so.
    """
    return any(re.match(r"monitor_present\s+1", line) for eld in _found(card, "eld#*") for line in _lines(eld))


def _printable(name: str) -> str:
    """A name that a device gave itself, safe for a terminal and a log."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _found(folder: Path, pattern: str) -> list[Path]:
    """What matches; nothing where the folder goes away meanwhile, as that of a card does that is pulled."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
