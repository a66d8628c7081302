"""OpenAI's speech interface on real daemons: the sound that clients get, and what a hang-up does on the board."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.quick_daemon import RATE_HZ, TONE_HZ
from support.served_gateway import ServedGateway

pytestmark = pytest.mark.xdist_group("real-renders")


class Site:
    """A board whose engine makes 1 s of sound for each segment, and a gateway."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        (folder / "broker").mkdir()
        broker = stack.enter_context(Broker(folder / "broker"))
        self.mqtt = stack.enter_context(Client(broker.host, broker.port))
        self.mqtt.subscribe("ishowtts/test/telemetry")
        self.board = stack.enter_context(Appliance(folder, broker, quick_s=1.0))
        self.board.wait_ready(self.mqtt, timeout_s=30)
        self.gateway = stack.enter_context(ServedGateway(broker.host, broker.port))
        self.gateway.wait_for_boards("test")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path_factory.mktemp("real"))


@pytest.mark.parametrize("sound_format", ["mp3", "opus", "flac", "wav", "pcm"])
def test_every_format_is_the_sound_of_the_engine(site: Site, sound_format: str) -> None:
    command = ["curl", "-sSf", f"{site.gateway.url}/v1/audio/speech", "-H", "Content-Type: application/json", "-d"]
    body = {"model": "tts-1", "voice": "alloy", "input": "A tone of 1 s.", "response_format": sound_format}
    sound = subprocess.run([*command, json.dumps(body)], capture_output=True, check=True, timeout=20).stdout
    if sound_format == "pcm":
        samples, rate_hz = np.frombuffer(sound, "<i2") / 32768, RATE_HZ
    else:
        if sound_format == "flac":  # libsndfile, unlike other decoders, reads no FLAC of unknown length
            sound = sound[:22] + RATE_HZ.to_bytes(4, "big") + sound[26:]
        samples, rate_hz = soundfile.read(io.BytesIO(sound))
    assert 0.95 < len(samples) / rate_hz < 1.2
    spectrum = np.abs(np.fft.rfft(samples))
    loudest_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)[spectrum.argmax()]
    assert abs(loudest_hz - TONE_HZ) < 5


def test_a_hang_up_cancels_the_render_on_the_board(site: Site) -> None:
    openai = pytest.importorskip("openai")  # here: each process that only collects tests would take 1 s for it
    text = "One sentence that is long enough for a segment of its own, endless. " * 20
    with (
        openai.OpenAI(api_key="x", base_url=f"{site.gateway.url}/v1", max_retries=0) as client,
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=text, response_format="pcm"
        ) as response,
    ):
        assert next(response.iter_bytes(1000))
    site.mqtt.wait_for(
        "ishowtts/test/telemetry",
        lambda message: message.json["renders"]["cancelled"] == 1 and not message.json["renders"]["active"],
    )
