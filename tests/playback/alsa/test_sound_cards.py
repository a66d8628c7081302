"""The list of cards from /proc/asound."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ishowtts.playback.alsa.sound_cards import holder, is_gone, is_hdmi, list_devices
from support.alsa import Alsa


def test_a_usb_card_comes_first_and_an_inaudible_output_last(alsa: Alsa) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(1, "APE")
    alsa.plug_in(2, "Codec")
    alsa.plug_in(3, "UAC2", usb=True)
    names = [device.pcm for device in list_devices(alsa.asound)]
    assert names == [f"plughw:CARD={card},DEV=0" for card in ("UAC2", "Codec", "HDA", "APE")]


def test_a_card_that_only_plays_comes_before_an_array_of_microphones(alsa: Alsa) -> None:
    alsa.plug_in(0, "Array", usb=True, capture=True)
    alsa.plug_in(1, "Codec", capture=True)
    alsa.plug_in(2, "Hat")
    alsa.plug_in(3, "UAC2", usb=True)
    found = [(device.pcm[12:-6], device.has_capture) for device in list_devices(alsa.asound)]
    assert found == [("UAC2", False), ("Hat", False), ("Array", True), ("Codec", True)]


def test_microphones_that_are_a_device_of_their_own_count_for_the_whole_card(alsa: Alsa) -> None:
    alsa.plug_in(0, "Array", usb=True)
    with (alsa.asound / "pcm").open("a") as pcm:
        pcm.write("00-01: Array Mics : Array Mics : capture 1\n")
    alsa.plug_in(3, "UAC2", usb=True)
    assert [device.pcm[12:-6] for device in list_devices(alsa.asound)] == ["UAC2", "Array"]


@pytest.mark.parametrize(
    ("pcm", "hdmi"),
    [
        ("plughw:CARD=HDA,DEV=3", True),
        ("hw:0,3", True),
        ("hw:00", True),
        ("sysdefault:CARD=HDA", True),
        ("plug:'dmix:CARD=HDA,DEV=3'", True),
        ("hdmi:CARD=Any,DEV=0", True),
        ("plughw:CARD=Mixed,DEV=3", True),
        ("plughw:CARD=Mixed,DEV=0", False),
        ("plughw:CARD=UAC2,DEV=0", False),
        ("plughw:CARD=Gone,DEV=0", False),
        ("default", False),
        ("bluealsa:DEV=AA:BB:CC:DD:EE:FF,PROFILE=a2dp", False),
        ("wav:/tmp/hdmi.wav", False),
        ("", False),
    ],
)
def test_hdmi_is_known_by_the_name_of_the_device_or_its_card(alsa: Alsa, pcm: str, hdmi: bool) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(1, "Mixed")
    alsa.plug_in(3, "UAC2", usb=True)
    with (alsa.asound / "pcm").open("a") as devices:
        devices.write("01-03: HDMI 0 : HDMI 0 : playback 1\n")
    assert is_hdmi(pcm, alsa.asound) is hdmi


def test_the_note_on_a_screen_says_that_its_device_is_unknown(alsa: Alsa) -> None:
    alsa.plug_in(0, "HDA", screen=True)
    (device,) = list_devices(alsa.asound)
    assert "one of this card's devices" in (device.note or "")


def test_an_unplugged_card_is_noticed_under_each_of_its_names(alsa: Alsa) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    names = ("plughw:CARD=UAC2,DEV=0", "hw:UAC2", "hw:3", "hw:03", "plughw:3,0")
    assert not any(is_gone(name, alsa.asound) for name in names)
    alsa.pull(3)
    assert all(is_gone(name, alsa.asound) for name in names)
    assert not is_gone("default", alsa.asound), "nothing is known of other names"
    assert not is_gone("hw:0", alsa.asound / "nowhere"), "nor if the kernel has no ALSA"


CLOSED = """
import sys
from pathlib import Path
from ishowtts.playback.alsa.sound_cards import access_error
asound, dev = map(Path, sys.argv[1:])
control = dev / "controlC3"
for change in (lambda: None, lambda: control.touch(mode=0), lambda: control.chmod(0o600)):
    change()
    print([access_error(name, asound, dev) for name in ("hw:3", "plughw:CARD=UAC2,DEV=0", "hw:0", "default")])
"""


def test_a_card_that_this_user_may_not_use_differs_from_an_absent_one(alsa: Alsa, tmp_path: Path) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    dev = tmp_path / "snd"
    dev.mkdir()
    # Capabilities let root use everything, so they are dropped.
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*unprivileged, sys.executable, "-c", CLOSED, str(alsa.asound), str(dev)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[None, None, None, None]",
        f"[{errno.EACCES}, {errno.EACCES}, None, None]",
        "[None, None, None, None]",
    ]


def test_the_own_name_of_a_device_is_safe_for_a_terminal(alsa: Alsa) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    (alsa.asound / "pcm").write_text("03-00: USB \x1b]0;x\x07 : Lautsprecher für alle : playback 1\n")
    (device,) = list_devices(alsa.asound)
    assert device.description == "USB ?]0;x?"


def test_a_card_that_disappears_during_a_listing_is_not_an_error(alsa: Alsa) -> None:
    """`/proc/asound` disappears when ALSA's modules are unloaded. The player's thread must survive that."""
    alsa.plug_in(0, "HDA", screen=True)
    alsa.plug_in(3, "UAC2", usb=True)
    there, away = alsa.asound, alsa.asound.with_name("away")
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            there.rename(away)
            away.rename(there)

    modules = threading.Thread(target=come_and_go, name="modules")
    modules.start()
    try:
        for _ in range(3000):
            list_devices(there)
            is_gone("hw:UAC2", there)
            holder("hw:3", there)
    finally:
        done.set()
        modules.join()


def test_the_process_that_holds_a_card_is_named(alsa: Alsa) -> None:
    alsa.plug_in(3, "UAC2", usb=True)
    assert holder("plughw:CARD=UAC2,DEV=0", alsa.asound) is None
    status = alsa.asound / "card3" / "pcm0p" / "sub0" / "status"
    status.parent.mkdir(parents=True)
    status.write_text("closed\n")
    assert holder("hw:3", alsa.asound) is None
    status.write_text(f"state: RUNNING\nowner_pid   : {os.getpid()}\n")
    assert (holder("hw:3", alsa.asound) or "").endswith(f"(process {os.getpid()})")
    assert holder("hw:3,1", alsa.asound) is None
