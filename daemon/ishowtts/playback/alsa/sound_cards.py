"""Lists the sound cards of this machine, from /proc/asound."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

ASOUND = Path("/proc/asound")
OWN_DAEMON = "ishowtts "
"""The text of `holder` begins with this if the process is a daemon of this project."""
DEV = Path("/dev/snd")
_PROC = Path("/proc")


class DeviceRank(IntEnum):
    """Kinds of cards; `auto` prefers those with the lowest value."""

    USB, OTHER, HDMI, NEVER = range(4)


@dataclass(frozen=True)
class SoundDevice:
    """A playback device of a card.

    Attributes:
        pcm: Its name for `audio.device`, which is the same after a reboot.
        has_capture: Whether its card records too, as a headset and an array of microphones do.
    """

    pcm: str
    description: str
    note: str | None
    rank: DeviceRank
    has_capture: bool = False

    @property
    def preference(self) -> tuple[int, bool, int]:
        """Sorts the best first. Cards that only play come before cards that record too; HDMI comes after both."""
        return max(self.rank, DeviceRank.OTHER), self.has_capture, self.rank


def list_devices(asound: Path = ASOUND) -> list[SoundDevice]:
    """Returns every playback device, best first: USB, others, HDMI with a screen. `auto` never chooses the rest.

    Except for HDMI, cards that only play come first: the output of an array of microphones has often no loudspeaker.
    """
    devices = []
    lines = _lines(asound / "pcm")
    recording = {line.partition("-")[0] for line in lines if re.search(r" : capture \d+", line)}
    for line in lines:
        match = re.fullmatch(r"(\d+)-(\d+): (.*?) : (.*?) : .*playback.*", line)
        if match is None:
            continue
        card = asound / f"card{int(match[1])}"
        card_id = next(iter(_lines(card / "id")), "")
        if card_id:
            device = _device(card, card_id, int(match[2]), _printable(match[3].strip()))
            devices.append(replace(device, has_capture=match[1] in recording))
    return sorted(devices, key=lambda found: found.preference)


def is_gone(pcm: str, asound: Path = ASOUND) -> bool:
    """Whether the PCM names a card that this machine does not have. False if the PCM names no card."""
    card_device = _card_and_device(pcm)
    return card_device is not None and asound.is_dir() and _card(card_device[0], asound) is None


def access_error(pcm: str, asound: Path = ASOUND, dev: Path = DEV) -> int | None:
    """Returns why the card exists and cannot be used, which ALSA reports like an absent card; `None` if it can be.

    Returns:
        EACCES: the node belongs to others. EPERM: the device policy of the service does not have it.
    """
    card_device = _card_and_device(pcm)
    card = _card(card_device[0], asound) if card_device else None
    if card is None:
        return None
    try:
        os.close(os.open(dev / f"controlC{card.name.removeprefix('card')}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError as error:
        return error.errno
    except OSError:
        pass
    return None


def holder(pcm: str, asound: Path = ASOUND) -> str | None:
    """Returns the process that has a card's device open, as "NAME (process 12)"; `None` if /proc does not show it."""
    card_device = _card_and_device(pcm)
    card = _card(card_device[0], asound) if card_device else None
    if card_device is None or card is None:
        return None
    for status in sorted(_glob(card / f"pcm{card_device[1]}p", "sub*/status")):
        for line in _lines(status):
            if match := re.fullmatch(r"owner_pid\s*: (\d+)", line):
                return _process(match[1])
    return None


def is_hdmi(pcm: str, asound: Path = ASOUND) -> bool:
    """Whether the PCM is an HDMI or DisplayPort output, by its name or by what /proc says of its card."""
    if pcm.startswith("hdmi"):
        return True
    inner = re.search(r"\bCARD=([^,'\" ]+)(?:,DEV=(\d+))?", pcm)
    card_device = _card_and_device(pcm) or ((inner[1], int(inner[2] or 0)) if inner else None)
    card = _card(card_device[0], asound) if card_device else None
    if card_device is None or card is None:
        return False
    number = card.name.removeprefix("card")
    found = f"{int(number):02}-{card_device[1]:02}: "
    name = next((line for line in _lines(asound / "pcm") if line.startswith(found)), "") if number.isdigit() else ""
    return _named_hdmi(next(iter(_lines(card / "id")), ""), name)


def _process(thread: str) -> str:
    """Describes the process of a thread: the kernel stores the thread that opened the device."""
    fields = dict(line.split(":\t", 1) for line in _lines(_PROC / thread / "status") if ":\t" in line)
    process = fields.get("Tgid", thread)
    name = next(iter(_lines(_PROC / process / "comm")), "a program")
    arguments = "\n".join(_lines(_PROC / process / "cmdline")).split("\0")
    if "ishowtts" in (Path(argument).name for argument in arguments):
        name = OWN_DAEMON.strip()
    return f"{name} (process {process})"


def _card_and_device(pcm: str) -> tuple[str, int] | None:
    """Returns the card and the device number in `hw:…` or `plughw:…`."""
    match = re.fullmatch(r"(?:plug)?hw:(?:CARD=)?([A-Za-z0-9_-]+)(?:,(?:DEV=)?(\d+))?(?:,.*)?", pcm)
    return (match[1], int(match[2] or 0)) if match else None


def _card(name: str, asound: Path) -> Path | None:
    if name.isdigit():
        card = asound / f"card{int(name)}"  # to ALSA, hw:03 is hw:3
        return card if card.is_dir() else None
    return next((path.parent for path in _glob(asound, "card*/id") if _lines(path)[:1] == [name]), None)


def _device(card: Path, card_id: str, number: int, name: str) -> SoundDevice:
    pcm = f"plughw:CARD={card_id},DEV={number}"
    if card_id == "APE":
        return SoundDevice(
            pcm, name, "Jetson's internal crossbar; nothing is attached unless you wired it", DeviceRank.NEVER
        )
    if _named_hdmi(card_id, name):
        if _screen_attached(card):
            return SoundDevice(
                pcm, name, "HDMI or DisplayPort; a screen is on one of this card's devices", DeviceRank.HDMI
            )
        return SoundDevice(pcm, name, "HDMI or DisplayPort with nothing attached", DeviceRank.NEVER)
    if (card / "usbid").exists():
        return SoundDevice(pcm, name, "USB", DeviceRank.USB)
    return SoundDevice(pcm, name, None, DeviceRank.OTHER)


def _named_hdmi(card_id: str, name: str) -> bool:
    """Whether a device is HDMI or DisplayPort. HDA is Jetson's card of this kind; a PC's sound card has another id."""
    return "hdmi" in f"{card_id} {name}".lower() or "hda" in card_id.lower()


def _screen_attached(card: Path) -> bool:
    """Whether a screen is attached. A screen reports what it can play (ELD); without one nothing is heard.

    /proc does not show for all drivers which of the card's devices has the screen, so the note does not name it.
    """
    return any(re.match(r"monitor_present\s+1", line) for eld in _glob(card, "eld#*") for line in _lines(eld))


def _printable(name: str) -> str:
    """Makes a device's own name safe for a terminal and a log."""
    return "".join(character if character.isprintable() else "?" for character in name)


def _glob(folder: Path, pattern: str) -> list[Path]:
    """Returns the paths that match; an empty list if the folder disappears, as when a card is unplugged."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
