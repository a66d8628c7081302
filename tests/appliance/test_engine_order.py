"""hibari and espeak-ng in the real daemon: a mixed line at the sink, the natural voice dead and stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ishowtts.engines.espeak import EspeakEngine
from ishowtts.engines.hibari.hibari_package import missing_package
from ishowtts.model import Segment
from ishowtts.util.samples import resample
from support.appliance import Appliance
from support.client import Client

pytestmark = [
    pytest.mark.skipif(missing_package() is not None, reason="hibari-tts is not installed"),
    pytest.mark.timeout(300),
]

RATE_HZ = 24_000
FOREIGN = {
    "zh": "今天天气很好，我们去公园吧。",
    "ru": "Привет, как у тебя сегодня дела?",
    "de": "Wie geht es dir heute, mein lieber Freund?",
}
MIXED = " ".join(["Good evening, everybody.", *FOREIGN.values(), "And that is all for today."])


def place_of(part: np.ndarray, sound: np.ndarray) -> tuple[int, float]:
    """Where the middle of a part is most like the sound, and how alike they are there, 0 to 1."""
    middle = part[len(part) // 3 : len(part) // 3 + RATE_HZ // 2].astype(np.float64)
    size = 1 << (len(sound) + len(middle)).bit_length()
    products = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(middle, size)), size)[: len(sound)]
    power = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    ends = np.minimum(np.arange(len(sound)) + len(middle), len(sound))
    alike = products / np.sqrt(np.maximum(power[ends] - power[np.arange(len(sound))], 1.0) * np.sum(middle**2))
    place = int(np.argmax(alike))
    return place, float(alike[place])


def engine_state(appliance: Appliance, client: Client, name: str, state: str) -> int:
    """The pid of this engine's worker, once telemetry shows this state."""

    def found(telemetry: dict[str, list[dict[str, object]]]) -> object:
        return next((each["pid"] for each in telemetry["engines"] if (each["name"], each["state"]) == (name, state)), 0)

    message = client.wait_for(f"{appliance.root}/telemetry", lambda message: found(message.json), timeout_s=60)
    return int(str(found(message.json)))


def test_a_mixed_line_reaches_the_sink_in_order_and_a_dead_natural_voice_costs_no_line(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path
) -> None:
    appliance = make_appliance(settings={"engine": {"kind": "hibari", "fallback": True}})
    appliance.wait_ready(mqtt_client)
    info = mqtt_client.wait_for(f"{appliance.root}/info").json
    assert (info["engine"], info["engines"]) == ("hibari", ["hibari", "espeak"])
    state = mqtt_client.on(f"{appliance.root}/state")[-1].json
    assert (state["engine"], state["engines"]) == ("hibari", ["hibari", "espeak"])

    final = appliance.final(mqtt_client, appliance.say(mqtt_client, MIXED, seed=1))
    assert (final["event"], final["engines"], final["substituted_for"]) == ("finished", ["hibari", "espeak"], None)
    assert (final["engine"], final["voice"], final["note"]) == ("hibari", "heart", None), "those of the last segment"
    sound, rate_hz = soundfile.read(appliance.sound, dtype="int16")
    assert rate_hz == RATE_HZ
    espeak, places = EspeakEngine(), []
    for language, text in FOREIGN.items():
        spoken = espeak.synthesize(Segment("a", 0, 1, text, language=language), lambda: False)
        place, likeness = place_of(resample(spoken.samples, spoken.rate_hz, RATE_HZ), sound)
        assert likeness > 0.9, language
        places.append(place)
    assert places == sorted(places)
    first, last = sound[: places[0] - 2 * RATE_HZ // 3], sound[places[-1] + 2 * RATE_HZ :]
    assert min(np.abs(first).max(), np.abs(last).max()) > 2000, "English is heard before and after the others"

    # Nothing of the engines is in the daemon itself.
    maps = Path(f"/proc/{appliance.pid}/maps").read_text()
    assert ("onnxruntime" in maps, "libtorch" in maps) == (False, False)
    worker = engine_state(appliance, mqtt_client, "hibari", "ready")
    assert "onnxruntime" in Path(f"/proc/{worker}/maps").read_text()

    line = appliance.say(mqtt_client, "This is a sentence that goes on for a while. " * 10, speed=2)
    mqtt_client.wait_for(
        f"{appliance.root}/event", lambda message: (message.json["id"], message.json["event"]) == (line, "started")
    )
    os.kill(worker, signal.SIGKILL)
    assert appliance.final(mqtt_client, line)["event"] == "finished"
    mqtt_client.forget()
    assert engine_state(appliance, mqtt_client, "hibari", "ready") != worker
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "It is back."))["engine"] == "hibari"

    worker = engine_state(appliance, mqtt_client, "hibari", "ready")
    os.kill(worker, signal.SIGSTOP)
    late, after = (
        appliance.final(mqtt_client, appliance.say(mqtt_client, text)) for text in ("It stands.", "It still stands.")
    )
    assert [(event["engine"], event["substituted_for"]) for event in (late, after)] == [("espeak", "hibari")] * 2
    reasons = "the engine hibari does not answer", "hibari had not spoken after"  # whichever is noticed first
    assert late["substitute_reason"].startswith(reasons)
    assert after["substitute_reason"] == reasons[0]
    assert late["ttfa_s"] < 10, "1.3 s on an idle machine, not the 20 s of its deadline"
    assert after["ttfa_s"] < late["ttfa_s"], "it is not waited for again"
    engine_state(appliance, mqtt_client, "hibari", "unresponsive")
    state = f"{appliance.root}/state"
    mqtt_client.wait_for(state, lambda message: "the engine hibari does not answer" in str(message.json["detail"]))
    mqtt_client.forget()
    os.kill(worker, signal.SIGCONT)
    engine_state(appliance, mqtt_client, "hibari", "ready")
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "It goes on."))["engine"] == "hibari"
    assert "Traceback" not in appliance.log
