"""Assist of a real Home Assistant speaks with an appliance, over the Wyoming server of the gateway.

Left out where Home Assistant is not installed: `scripts/setup home-assistant` does that.
"""

from __future__ import annotations

import io
import shutil
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from support import home_assistant
from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.home_assistant import HomeAssistant
from support.prometheus import free_port
from support.quick_daemon import read_notes
from support.waiting import eventually

if reason := home_assistant.missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("home-assistant-assist"),
]

SOUND_S = 0.5
CONFIGURATION = "assist_pipeline:\nmedia_source:\n"


class AssistHouse:
    """Home Assistant with the gateway's Wyoming server, and an appliance that makes tones."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        for name in ("broker", "appliance", "gateway", "home"):
            (folder / name).mkdir()
        port = free_port()
        broker = stack.enter_context(Broker(folder / "broker"))
        self.client = stack.enter_context(Client(broker.host, broker.port))
        self.appliance = stack.enter_context(Appliance(folder / "appliance", broker, quick_s=SOUND_S))
        settings = {"devices": "+", "wyoming": {"listen": f"127.0.0.1:{port}"}}
        self.gateway = stack.enter_context(GatewayProcess(folder / "gateway", self.client.address, settings))
        self.home = stack.enter_context(HomeAssistant(folder / "home", CONFIGURATION))
        self.appliance.wait_ready(self.client)
        self.home.add_wyoming("127.0.0.1", port)

    def spoken(self) -> list[str]:
        """The texts that the engine of the appliance was given."""
        return [note["spoke"] for note in read_notes(self.appliance.notes) if "spoke" in note]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssistHouse]:
    with ExitStack() as stack:
        yield AssistHouse(tmp_path_factory.mktemp("house"), stack)


def seconds(sound: bytes) -> float:
    """Length of a WAV with a tone of the quick engine."""
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(samples).max() > 500
    return len(samples) / 24_000


def test_the_voices_of_the_appliance_can_be_chosen(house: AssistHouse) -> None:
    (provider,) = house.home.ask("tts/engine/list")["providers"]
    assert provider["engine_id"] == "tts.ishowtts"
    assert {"de", "en"} <= set(provider["supported_languages"])
    voices = house.home.ask("tts/engine/voices", engine_id="tts.ishowtts", language="de")["voices"]
    assert {"auto", "auto:de"} <= {voice["voice_id"] for voice in voices}
    assert not {"auto:en"} & {voice["voice_id"] for voice in voices}


def test_a_text_is_spoken(house: AssistHouse) -> None:
    assert seconds(house.home.speech("The tea is ready.")) == pytest.approx(SOUND_S, abs=0.01)
    assert seconds(house.home.speech("Der Tee.", options={"voice": "auto:de"})) == pytest.approx(SOUND_S, abs=0.01)


def test_assist_speaks_its_answer(house: AssistHouse) -> None:
    (pipeline,) = house.home.ask("assist_pipeline/pipeline/list")["pipelines"]
    pipeline |= {"tts_engine": "tts.ishowtts", "tts_language": "en", "tts_voice": "auto:en"}
    house.home.ask("assist_pipeline/pipeline/update", pipeline_id=pipeline.pop("id"), **pipeline)
    events = {event["type"]: event["data"] for event in house.home.run_assist("what time is it")}
    assert events["tts-start"]["voice"] == "auto:en"
    assert events["tts-end"]["tts_output"]["url"]
    eventually(lambda: "M" in house.spoken()[-1], "the time of day at the engine")  # 3:31 PM
    if shutil.which("ffmpeg"):  # the pipeline wants MP3
        assert len(house.home.download(events["tts-end"]["tts_output"]["url"])) > 1000
    assert house.home.problems(expected=("haffmpeg",)) == []


def test_ten_texts_at_once(house: AssistHouse) -> None:
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda number: house.home.speech(f"This is text number {number}."), range(10)))
    assert [seconds(sound) for sound in found] == [pytest.approx(SOUND_S, abs=0.01)] * 10


def test_an_appliance_that_is_away_and_back_again(house: AssistHouse) -> None:
    house.appliance.stop()
    eventually(lambda: house.home.speech("Nobody speaks this.") == b"", "the error")
    assert "no appliance can render this now: test is offline" in house.gateway.log
    entry_id = house.home.entry("wyoming")["entry_id"]
    house.home.post(f"config/config_entries/entry/{entry_id}/reload", {})
    eventually(lambda: house.home.entry("wyoming")["state"] == "loaded", "the integration without an appliance")
    voices = house.home.ask("tts/engine/voices", engine_id="tts.ishowtts", language="en")["voices"]
    assert "auto" in {voice["voice_id"] for voice in voices}
    house.appliance.start()
    eventually(lambda: house.home.speech("Here again.") != b"", "the speech", 60)
