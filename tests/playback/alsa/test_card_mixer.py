"""Two ALSA mixers: that of a sound server, which has no decibels, and that of a card (card.c), which has.

The values that were set are queried from the server, and read from the card's file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from ishowtts.playback.alsa.card_mixer import level_cdb, level_steps, mixer_of
from support.waiting import eventually

pytestmark = pytest.mark.xdist_group("card-mixer")

MUTED_PCM = "card is muted (PCM), so nothing is heard; run `amixer -D card sset PCM"
PROGRAM = """
import json, sys
from ishowtts.errors import SpeakerError
from ishowtts.playback.alsa.card_mixer import CardMixer
from ishowtts.playback.alsa.card_silence import card_silence
for request in sys.stdin:
    device, control, applied = json.loads(request)
    if control is None:
        silence = card_silence(device)
        result = {} if silence is None else {silence.cause.value: silence.sentence}
        print(json.dumps(result), flush=True)
        continue
    try:
        mixer = CardMixer(device, control)
        result = {"found": mixer.check()}
        for volume, muted in applied:
            mixer.apply(volume, muted=muted)
    except SpeakerError as error:
        result = {"error": str(error)}
    print(json.dumps(result), flush=True)
"""


class MixerProcess:
    """Runs `CardMixer` in a child process: ALSA reads its configuration once per process.

    All tests of one configuration share the process, since each start costs a second.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def silence(self, device: str) -> dict[str, str]:
        """Returns why the card of a device lets no sound through: a sentence by its cause; empty if it does."""
        return self(device, None)

    def __call__(self, device: str, control: str | None, *applied: tuple[int, bool]) -> dict[str, Any]:
        """Checks a mixer control, then applies each volume and mute. Returns `found` or `error`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([device, control, applied]) + "\n")
        self._process.stdin.flush()
        result: dict[str, Any] = json.loads(self._process.stdout.readline())
        return result

    def __enter__(self) -> MixerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True)
class Server:
    """A PulseAudio with one null sink. Its mixer is `speaker` in ALSA."""

    environment: dict[str, str]
    mixer: MixerProcess

    def tell(self, *words: str) -> str:
        command = ["pactl", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    @property
    def volume(self) -> int:
        """Volume of the sink, in per cent."""
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
        info = ["pactl", "info"]
        eventually(
            lambda: subprocess.run(info, env=environment, capture_output=True, check=False).returncode == 0,
            "PulseAudio",
            20,
        )
        with MixerProcess(environment) as mixer:
            yield Server(environment, mixer)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("volume", "muted"), [(30, False), (100, False), (55, True), (1, False)])
def test_volume_and_mute_are_set_in_the_mixer(server: Server, volume: int, muted: bool) -> None:
    result = server.mixer("speaker", "Master", (80, not muted), (volume, muted))
    assert result == {"found": "Master of speaker, without decibels, with a mute switch"}
    assert (server.volume, server.muted) == (volume, muted)


def test_a_sound_server_that_is_muted_or_at_0_is_silent(server: Server) -> None:
    server.tell("set-sink-mute", "speaker", "0")
    server.tell("set-sink-volume", "speaker", "40%")
    assert server.mixer.silence("speaker") == {}
    server.tell("set-sink-mute", "speaker", "1")
    (sentence,) = server.mixer.silence("speaker").values()
    assert sentence.endswith("run `amixer -D speaker sset Master unmute`")
    server.tell("set-sink-mute", "speaker", "0")
    server.tell("set-sink-volume", "speaker", "0")
    (sentence,) = server.mixer.silence("speaker").values()
    assert sentence.endswith("run `amixer -D speaker sset Master 80%`")
    server.tell("set-sink-volume", "speaker", "40%")


def test_volume_0_mutes(server: Server) -> None:
    server.mixer("speaker", "Master", (40, False), (0, False))
    assert server.muted
    server.mixer("speaker", "Master", (40, False))
    assert (server.volume, server.muted) == (40, False)


@pytest.mark.parametrize("control", ["PCM", "Capture", "Mästér", ""])
def test_an_unknown_control_is_reported_with_the_known_ones(server: Server, control: str) -> None:
    assert server.mixer("speaker", control, (50, False)) == {
        "error": f"speaker has no control {control} with a playback volume; audio.mixer can be: Master"
    }


@dataclass(frozen=True)
class Card:
    """The mixer `card` of card.c, and `dead`, which is the same card after unplugging."""

    folder: Path
    mixer: MixerProcess

    @property
    def values(self) -> list[int]:
        """The two channels and the switch of PCM, and Amp, in steps."""
        return [int(value) for value in (self.folder / "values").read_text().split()]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Card]:
    if shutil.which("gcc") is None or not Path("/usr/include/alsa/control_external.h").exists():
        pytest.skip("gcc or libasound2-dev is not installed")
    folder = tmp_path_factory.mktemp("card")
    source, plugin = Path(__file__).with_name("card.c"), folder / "card.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-DPIC", "-o", str(plugin), str(source), "-lasound"], check=True)
    (folder / "asoundrc").write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'ctl_type.testcard {{ lib "{plugin}" }}\n'
        f'ctl.card {{ type testcard keeps "{folder / "values"}" }}\n'
        "ctl.dead { type testcard }\n",
        encoding="utf-8",
    )
    with MixerProcess({**os.environ, "ALSA_CONFIG_PATH": str(folder / "asoundrc")}) as mixer:
        yield Card(folder, mixer)


@pytest.mark.parametrize(
    ("volume", "muted", "values"),
    [(100, False, [120, 120, 1]), (50, False, [70, 70, 1]), (80, True, [100, 100, 0]), (0, False, [0, 0, 0])],
)
def test_a_card_is_set_in_decibels_on_all_its_channels(card: Card, volume: int, muted: bool, values: list[int]) -> None:
    result = card.mixer("card", "PCM", (30, not muted), (volume, muted))
    assert result == {"found": "PCM of card, -60 to 0 dB, with a mute switch"}
    assert card.values[:3] == values


@pytest.mark.parametrize(
    ("volume", "muted", "decibels"), [(100, False, 6), (80, False, -4), (100, True, None), (0, False, None)]
)
def test_a_card_without_a_switch_is_muted_at_its_minimum(
    card: Card, volume: int, muted: bool, decibels: int | None
) -> None:
    result = card.mixer("card", "Amp", (50, False), (volume, muted))
    assert result == {"found": "Amp of card, silence to 6 dB, without a mute switch"}
    assert card.values[3] == (0 if decibels is None else decibels + 25)


@pytest.mark.parametrize(
    ("values", "silence"),
    [
        ("120 120 1 31", {}),
        ("1 0 1 31", {}),  # one channel is heard
        ("120 120 1 0", {}),  # Amp is no control that all sound is known to go through
        (
            "120 120 0 31",
            {"card_muted": "card is muted (PCM), so nothing is heard; run `amixer -D card sset PCM unmute`"},
        ),
        ("0 0 1 31", {"card_volume_0": f"{MUTED_PCM.replace('muted', 'at 0 %')} 80%`"}),
        ("0 0 0 31", {"card_muted": f"{MUTED_PCM} 80% unmute`"}),
    ],
)
def test_a_card_that_is_muted_or_at_0_is_silent(card: Card, values: str, silence: dict[str, str]) -> None:
    (card.folder / "values").write_text(values)
    assert card.mixer.silence("card") == {cause: f"the sound card {text}" for cause, text in silence.items()}


@pytest.mark.parametrize(
    "device", ["gone", "nosuch", "plughw:CARD=UAC2,DEV=0", "auto", "silent", "wav:/x.wav", "pipe:/x"]
)
def test_a_device_whose_mixer_cannot_be_read_is_not_called_silent(server: Server, device: str) -> None:
    assert server.mixer.silence(device) == {}


def test_a_card_that_is_unplugged_during_a_change_is_reported(card: Card) -> None:
    result = card.mixer("dead", "PCM", (50, False))
    assert result["error"].startswith("the mixer dead cannot be used: No such device")


@pytest.mark.parametrize("device", ["gone", "nosuch", "plughw:CARD=UAC2,DEV=0"])
def test_a_missing_mixer_is_reported_in_one_sentence(server: Server, device: str) -> None:
    result = server.mixer(device, "Master", (50, False))
    assert result["error"].startswith(f"the mixer {mixer_of(device)} cannot be used: ")
    assert "\n" not in result["error"]


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


def test_a_card_without_decibels_is_set_linearly() -> None:
    assert [level_steps(volume, 0, 65_536) for volume in (100, 50, 0)] == [65_536, 32_768, 0]
    assert [level_steps(volume, -10, 10) for volume in (120, 75, -5)] == [10, 5, -10]
