"""Which device, from what /proc/asound says."""

from __future__ import annotations

from pathlib import Path

from ishowtts.playback.cards import list_devices
from ishowtts.playback.choose import choose


def card(root: Path, number: int, card_id: str, *, usb: bool = False, screen: bool | None = None) -> None:
    folder = root / f"card{number}"
    folder.mkdir(parents=True)
    (folder / "id").write_text(f"{card_id}\n")
    if usb:
        (folder / "usbid").write_text("1234:5678\n")
    if screen is not None:
        (folder / "eld#0.0").write_text(f"monitor_present\t\t{int(screen)}\n")
    with (root / "pcm").open("a") as pcm:
        pcm.write(f"{number:02}-00: {card_id} Audio : {card_id} Audio : playback 1 : capture 1\n")


def test_a_usb_card_comes_before_the_others_by_a_stable_name(tmp_path: Path) -> None:
    card(tmp_path, 0, "HDA", screen=True)
    card(tmp_path, 1, "APE")
    card(tmp_path, 2, "Codec")
    card(tmp_path, 3, "UAC2", usb=True)
    chosen = choose("auto", tmp_path)
    assert chosen.speaker.name == "plughw:CARD=UAC2,DEV=0"
    assert "CARD=APE" not in chosen.why
    assert [device.pcm.split("=")[1] for device in list_devices(tmp_path)] == [
        "UAC2,DEV",
        "Codec,DEV",
        "HDA,DEV",
        "APE,DEV",
    ]


def test_no_sound_goes_where_nobody_hears_it(tmp_path: Path) -> None:
    card(tmp_path, 0, "HDA", screen=False)
    card(tmp_path, 1, "APE")
    chosen = choose("auto", tmp_path)
    assert chosen.speaker.name == "auto"
    assert "no sound card" in chosen.why


def test_a_screen_is_told_with_the_doubt_which_device_it_hangs_on(tmp_path: Path) -> None:
    card(tmp_path, 0, "HDA", screen=True)
    (device,) = list_devices(tmp_path)
    assert "one of this card's devices" in (device.note or "")


def test_what_is_asked_for_is_taken(tmp_path: Path) -> None:
    assert choose("silent", tmp_path).speaker.name == "silent"
    assert choose(f"wav:{tmp_path}/a.wav", tmp_path).speaker.name == f"wav:{tmp_path}/a.wav"
    assert choose("plughw:CARD=Mine,DEV=1", tmp_path).speaker.name == "plughw:CARD=Mine,DEV=1"
    assert choose("auto", tmp_path / "none").speaker.name == "auto"
