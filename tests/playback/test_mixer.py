"""The mixer of a sound server, through ALSA's own plugin: what is set is asked of the server itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ishowtts.playback.mixer import level_cdb, level_steps, mixer_of
from support.waiting import eventually

PROGRAM = """
import json, sys
from ishowtts.errors import SpeakerError
from ishowtts.playback.mixer import CardMixer
try:
    mixer = CardMixer(sys.argv[1], sys.argv[2])
    found = mixer.check()
    for volume, muted in json.loads(sys.argv[3]):
        mixer.apply(volume, muted=muted)
    print(json.dumps({"found": found}))
except SpeakerError as error:
    print(json.dumps({"error": str(error)}))
"""


@dataclass(frozen=True)
class Server:
    """A PulseAudio with one null sink; ALSA knows its mixer as `speaker`."""

    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def mixer(self, device: str, control: str, *applied: tuple[int, bool]) -> dict[str, Any]:
        """What `CardMixer` says in a process of its own: ALSA reads its configuration once."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, device, control, json.dumps(applied)],
            env=self.environment,
            capture_output=True,
            timeout=60,
            check=True,
        )
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def tell(self, *words: str) -> str:
        command = ["pactl", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    @property
    def volume(self) -> int:
        """Of the sink, in per cent."""
        found = re.search(r"(\d+)%", self.tell("get-sink-volume", "speaker"))
        assert found is not None
        return int(found[1])

    @property
    def muted(self) -> bool:
        return self.tell("get-sink-mute", "speaker").strip() == "Mute: yes"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        pytest.skip("pulseaudio or pulseaudio-utils is not installed")
    folder = tmp_path_factory.mktemp("pulse")
    address = f"unix:{folder / 'native'}"
    asoundrc = folder / "asoundrc"
    asoundrc.write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'ctl.speaker {{ type pulse server "{address}" sink speaker }}\n'
        f'ctl.gone {{ type pulse server "unix:{folder / "nobody"}" }}\n',
        encoding="utf-8",
    )
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PULSE_SERVER": address,
        "ALSA_CONFIG_PATH": str(asoundrc),
    }
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
    modules = ("module-null-sink sink_name=speaker", f"module-native-protocol-unix socket={folder / 'native'}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(part for module in modules for part in ("-L", module))],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        server = Server(process, environment)
        info = ["pactl", "info"]
        eventually(
            lambda: subprocess.run(info, env=environment, capture_output=True, check=False).returncode == 0,
            "PulseAudio",
            20,
        )
        yield server
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("volume", "muted"), [(30, False), (100, False), (55, True), (1, False)])
def test_volume_and_mute_arrive_at_the_card(server: Server, volume: int, muted: bool) -> None:
    said = server.mixer("speaker", "Master", (80, not muted), (volume, muted))
    assert said == {"found": "Master of speaker, without decibels, with a mute switch"}
    assert (server.volume, server.muted) == (volume, muted)


def test_a_volume_of_nothing_is_silence(server: Server) -> None:
    server.mixer("speaker", "Master", (40, False), (0, False))
    assert server.muted
    server.mixer("speaker", "Master", (40, False))
    assert (server.volume, server.muted) == (40, False)


@pytest.mark.parametrize("control", ["PCM", "Capture", "Mästér", ""])
def test_a_control_that_does_not_play_is_told_with_those_that_do(server: Server, control: str) -> None:
    assert server.mixer("speaker", control, (50, False)) == {
        "error": f"speaker has no control {control} with a playback volume; audio.mixer can be: Master"
    }


@pytest.mark.parametrize("device", ["gone", "nosuch", "plughw:CARD=UAC2,DEV=0"])
def test_a_mixer_that_is_away_is_told_in_one_sentence(server: Server, device: str) -> None:
    said = server.mixer(device, "Master", (50, False))
    assert said["error"].startswith(f"the mixer {mixer_of(device)} cannot be used: ")
    assert "\n" not in said["error"]


@pytest.mark.parametrize(
    ("device", "mixer"),
    [
        ("plughw:CARD=UAC2,DEV=0", "hw:CARD=UAC2"),
        ("hw:CARD=UAC2", "hw:CARD=UAC2"),
        ("sysdefault:CARD=UAC2", "hw:CARD=UAC2"),
        ("plug:'dmix:CARD=UAC2,DEV=0'", "hw:CARD=UAC2"),
        ("plughw:1,0", "hw:1"),
        ("hw:UAC2,0", "hw:UAC2"),
        ("pulse", "pulse"),
        ("default", "default"),
        ("kitchen", "kitchen"),
    ],
)
def test_every_device_has_its_mixer(device: str, mixer: str) -> None:
    assert mixer_of(device) == mixer


def test_a_card_in_decibels_follows_the_curve_of_the_volume() -> None:
    assert [level_cdb(volume, -6_000, 0) for volume in (100, 50, 1, 0)] == [0, -2_500, -4_950, -6_000]
    # Between +6 and -20 dB, and with silence at the bottom.
    assert [level_cdb(volume, -2_000, 600) for volume in (100, 80, 10)] == [600, -400, -2_000]
    assert level_cdb(0, -9_999_999, 0) == -9_999_999


def test_a_card_without_decibels_is_set_evenly() -> None:
    assert [level_steps(volume, 0, 65_536) for volume in (100, 50, 0)] == [65_536, 32_768, 0]
    assert [level_steps(volume, -10, 10) for volume in (120, 75, -5)] == [10, 5, -10]
