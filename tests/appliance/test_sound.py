"""The real daemon, heard at the sink of a sound server that plays in real time (see `support.pulse`).

The contract's times are held against the median of several trials, all of which are printed.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from support.appliance import FINAL, Appliance
from support.broker import Broker
from support.client import Client
from support.pulse import Pulse, missing
from support.quick_daemon import RATE_HZ, code, height, read_notes, tone
from support.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("sound"),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]

SEGMENT_S, SEAM_S = 0.4, 0.05
BLOCK_S = 0.01  # of the player: a fade takes half of one
LOST_AT_END_S = 0.01  # a dying server takes along a block that the sink, and one that the recorder was about to get
TRIALS = 7


class SoundSetup:
    """A daemon on a sound server, and a client that talks to it."""

    def __init__(self, pulse: Pulse, appliance: Appliance, client: Client) -> None:
        self.pulse, self.appliance, self.client = pulse, appliance, client
        self._numbers = iter(range(500, 30_000, 37))

    def words(self, count: int = 1, extra: str = "") -> str:
        """A text of so many segments, each with a hum of its own."""
        return " ".join(f"{code(next(self._numbers))} is the word{extra}." for _ in range(count))

    def heard(self, text: str, since_s: float = 0.0) -> Callable[[], bool]:
        """Whether the sink has played the first of a text's hum."""
        return lambda: bool((self._since(since_s) == height(text)).any())

    def _since(self, since_s: float) -> NDArray[np.int16]:
        samples = self.pulse.recording.samples
        return samples[-round(since_s * RATE_HZ) :] if since_s else samples

    def first(self, text: str) -> float:
        """When the first sample of a text's hum was at the sink."""
        recording = self.pulse.recording
        return recording.at(int(np.flatnonzero(recording.samples == height(text))[0]))

    def last(self, text: str) -> float:
        """When the last sample of a text's hum was at the sink."""
        recording = self.pulse.recording
        return recording.at(int(np.flatnonzero(recording.samples == height(text))[-1]))


def start_setup(stack: ExitStack, folder: Path, *, quick: list[str], segment_s: float = SEGMENT_S) -> SoundSetup:
    """Start everything."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-")))  # sockets want short paths
    pulse = stack.enter_context(Pulse(home))
    (folder / "broker").mkdir()
    broker = stack.enter_context(Broker(folder / "broker"))
    settings = {
        "audio": {"device": pulse.pcm, "volume": 100},
        "text": {"normalise": False},
    }
    appliance = stack.enter_context(
        Appliance(folder, broker, settings, pulse.environment, quick_s=segment_s, quick=["--aloud", *quick])
    )
    client = stack.enter_context(Client(broker.host, broker.port))
    appliance.wait_ready(client)
    return SoundSetup(pulse, appliance, client)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundSetup]:
    """One daemon for all tests that leave it unchanged."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("sound")
        yield start_setup(stack, folder, quick=["--segment-bytes", "24", "--seam-s", str(SEAM_S)])


@pytest.fixture(scope="module")
def adds_s(setup: SoundSetup) -> float:
    """Latency that the recorder adds, in seconds."""
    line = setup.appliance.say(setup.client, setup.words(extra=" endless"))
    setup.client.wait_for(f"{setup.appliance.root}/event", lambda m: m.json["event"] == "started")
    time.sleep(0.3)
    added_s = setup.pulse.recorder_adds_s()
    setup.client.publish(f"{setup.appliance.root}/command", "skip", qos=0)
    setup.appliance.final(setup.client, line)
    print(f"the recorder adds {1000 * added_s:.1f} ms")
    assert abs(added_s) < 0.02
    return added_s


def shown(name: str, times_s: list[float]) -> float:
    """Print all, give the median."""
    print(f"{name}: {', '.join(f'{1000 * each:.1f}' for each in times_s)} ms")
    return statistics.median(times_s)


def test_a_skip_takes_effect_within_50_ms_and_fades_out(setup: SoundSetup, adds_s: float) -> None:
    fades_s, silences_s, steps = [], [], []
    for _ in range(TRIALS):
        text = setup.words(extra=" endless")
        line = setup.appliance.say(setup.client, text)
        eventually(setup.heard(text, 0.02), "the hum")
        time.sleep(random.uniform(0.1, 0.2))
        told_at = time.monotonic()
        setup.client.publish(f"{setup.appliance.root}/command", "skip", qos=0)
        assert setup.appliance.final(setup.client, line)["by"] == "skip"
        recording = setup.pulse.recording
        for wait_s in (0.2, 1.0, 3.0):  # one slow trial on a busy machine does not change the medians
            recording.wait_until(told_at + wait_s)
            began = recording.after(told_at - 0.02)
            end = recording.samples[began:].astype(int)
            if end[-1] == 0:
                break
        assert end[0] == height(text)
        assert end[-1] == 0
        fade, silence = int(np.flatnonzero(end != height(text))[0]), int(np.flatnonzero(end)[-1]) + 1
        steps.append(float(np.abs(np.diff(end)).max() / height(text)))
        fades_s.append(recording.at(began + fade) - adds_s - told_at)
        silences_s.append(recording.at(began + silence) - adds_s - told_at)
    print(f"the largest step of each fade: {', '.join(f'{step:.3f}' for step in steps)} of the level")
    assert statistics.median(steps) < 0.01, "a click"
    assert shown("from the PUBLISH of a skip to its fade", fades_s) < 0.050
    assert shown("from the PUBLISH of a skip to silence", silences_s) < 0.050 + BLOCK_S / 2


def test_an_urgent_line_is_heard_within_150_ms(setup: SoundSetup, adds_s: float) -> None:
    times_s = []
    long = setup.words(extra=" endless")
    line = setup.appliance.say(setup.client, long)
    for _ in range(TRIALS):
        eventually(setup.heard(long, 0.05), "the hum of the long line")
        urgent = setup.words()
        told_at = time.monotonic()
        cuts_in = setup.appliance.say(setup.client, urgent, topic="urgent")
        assert setup.appliance.final(setup.client, cuts_in)["event"] == "finished"
        times_s.append(setup.first(urgent) - adds_s - told_at)
    setup.client.publish(f"{setup.appliance.root}/command", "skip", qos=0)
    setup.appliance.final(setup.client, line)
    assert shown("from the PUBLISH of an urgent line to its first sample", times_s) < 0.150


def test_the_segments_of_a_line_join_without_a_gap_or_a_step(setup: SoundSetup) -> None:
    whole = tone(round((3 * SEGMENT_S - 2 * SEAM_S) * RATE_HZ)).astype(int)
    differences = []
    for _ in range(TRIALS):
        time.sleep(0.2)  # what was played before is over
        began_at = time.monotonic()
        line = setup.appliance.say(setup.client, "This is the tone one. This is the tone two. This is the tone three.")
        assert setup.appliance.final(setup.client, line)["event"] == "finished"
        ended_at = time.monotonic()
        recording = setup.pulse.recording
        recording.wait_until(ended_at + 0.1)
        sound = recording.samples[recording.after(began_at) :].astype(int)
        heard = sound[int(np.flatnonzero(sound)[0]) - 1 :]  # a sine begins with a zero
        expected = np.pad(whole, (0, len(heard) - len(whole)))
        differences.append(int(np.abs(heard - expected).max()))
    print(f"the largest difference from one tone: {differences}")
    # A busy machine lets the device run dry now and then; a seam that is wrong is wrong each time.
    assert statistics.median(differences) <= 1


def test_finished_is_published_when_the_last_sample_was_heard(setup: SoundSetup, adds_s: float) -> None:
    after_s, before_s = [], []
    for _ in range(TRIALS):
        text = setup.words()
        line = setup.appliance.say(setup.client, text)
        event = setup.client.wait_for(
            f"{setup.appliance.root}/event", lambda m, line=line: m.json["id"] == line and m.json["event"] == "finished"
        )
        setup.pulse.recording.wait_until(event.at + 0.1)
        after_s.append(event.at - setup.last(text) + adds_s)
        spoke_at = next(note["at"] for note in read_notes(setup.appliance.notes) if note.get("spoke") == text)
        before_s.append(setup.first(text) - adds_s - spoke_at)
    shown("from the first sample that was synthesised to the sink", before_s)
    shown("from the last sample at the sink to the event `finished`", after_s)
    assert min(after_s) >= 0


def test_speech_after_an_underrun_is_complete(setup: SoundSetup) -> None:
    text = setup.words()
    line = setup.appliance.say(setup.client, text)
    eventually(setup.heard(text), "the hum")
    for _ in range(3):
        os.kill(setup.appliance.pid, signal.SIGSTOP)
        time.sleep(0.15)
        os.kill(setup.appliance.pid, signal.SIGCONT)
        time.sleep(0.05)
    assert setup.appliance.final(setup.client, line)["event"] == "finished"
    setup.pulse.recording.wait_until(time.monotonic() + 0.1)
    samples = setup.pulse.recording.samples
    assert int((samples == height(text)).sum()) == round(SEGMENT_S * RATE_HZ)
    setup.client.wait_for(f"{setup.appliance.root}/telemetry", lambda m: m.json["audio"]["underruns"] > 0)


def test_no_line_is_lost_over_twenty_losses_of_the_device(tmp_path: Path) -> None:
    chance = random.Random(0)
    outages_s = [3.0, 1.5, *(chance.uniform(0.05, 0.5) for _ in range(18))]
    chance.shuffle(outages_s)
    texts: dict[str, str] = {}
    up_at = []
    segment_s = 0.2
    with ExitStack() as stack:
        setup = start_setup(stack, tmp_path, quick=["--segment-bytes", "24"], segment_s=segment_s)
        appliance, client, pulse = setup.appliance, setup.client, setup.pulse

        def finals(line: str) -> list[str]:
            return [event["event"] for event in appliance.events(client, line) if event["event"] in FINAL]

        def state() -> str:
            told: str = client.on(f"{appliance.root}/state")[-1].json["state"]
            return told

        for outage_s in outages_s:
            while sum(not finals(line) for line in texts) < 3:
                text = setup.words(3)
                texts[appliance.say(client, text)] = text
            eventually(lambda: bool(pulse.recording.samples.any()), "the speech")
            samples = pulse.recording.samples
            played_s = (len(samples) - int(np.flatnonzero(samples)[0])) / RATE_HZ
            # After a loss speech begins with a segment. The next loss is anywhere in one, or where it is hardest:
            # while the device holds the very end.
            left_s = chance.uniform(0, chance.choice([segment_s, 0.02]))
            time.sleep(max(0.0, chance.randint(1, 4) * segment_s - left_s - played_s))
            pulse.kill()
            eventually(lambda: state() == "degraded", "the state degraded")
            time.sleep(outage_s)
            pulse.start()
            up_at.append(pulse.up_at)
            eventually(lambda: state() != "degraded", "the end of the state degraded")
        for line in texts:
            assert appliance.final(client, line)["event"] == "finished"
        eventually(lambda: state() == "ready", "the state ready")
        pulse.recording.wait_until(time.monotonic() + 0.1)
        alerts = [message.json for message in client.on(f"{appliance.root}/alert/no_sound")]
        assert any(alert["active"] and "was lost" in alert["detail"] for alert in alerts), "for the longest losses"
        eventually(lambda: not client.on(f"{appliance.root}/alert/no_sound")[-1].json["active"], "its end", 15)
        eventually(lambda: client.on(f"{appliance.root}/state")[-1].json["alerts"] == [], "its end in the state")
        assert [finals(line) for line in texts] == [["finished"]] * len(texts)
        assert appliance.process is not None
        assert appliance.process.poll() is None, "it has had one process all the time"
    whole = round(segment_s * RATE_HZ)
    hums = [height(part) for text in texts.values() for part in text.split(".") if part]
    fullest = {hum: max(int((each.samples == hum).sum()) for each in pulse.recordings) for hum in hums}
    print(f"{len(hums)} segments of {whole} samples; not whole: {[n for n in fullest.values() if n < whole]}")
    assert max(fullest.values()) == whole, "nothing was repeated in one life of the device"
    assert min(fullest.values()) >= whole - LOST_AT_END_S * RATE_HZ
    firsts = [each.at(int(np.flatnonzero(each.samples)[0])) for each in pulse.recordings[1:]]
    returns_s = [first_at - back_at for first_at, back_at in zip(firsts, up_at, strict=True)]
    assert shown("from the return of the device to speech", returns_s) < 2.0
