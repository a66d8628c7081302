"""The sound of a render: joined, post-processed and cut into parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import Line, RenderRequest, Samples, Segment, Utterance
from ishowtts.playback.post_processing import PostProcessor
from ishowtts.speech.renders.render_task import MadeSegment
from ishowtts.speech.renders.sound_stream import SoundStream
from ishowtts.util.samples import resample

RATE_HZ = 24_000
QUIET_S = 1.7


def speech(length_s: float, rate_hz: int) -> Samples:
    """Loud enough for the limiter, with a short pause."""
    at = np.arange(int(length_s * rate_hz)) / rate_hz
    loud = 9000 * np.sin(2 * np.pi * 200 * at) * (1 + np.sin(2 * np.pi * 3 * at))
    return np.where(np.abs(at - QUIET_S) < 0.02, 0, loud).astype(np.int16)


class Counting(PostProcessor):
    """Notes how long the sounds are that it processes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lengths_s: list[float] = []

    def process(self, utterance: Utterance, line_id: str) -> Any:
        self.lengths_s.append(utterance.audio_s)
        return super().process(utterance, line_id)


def stream(post_processor: PostProcessor, part_bytes: int = RENDER_PART_BYTES) -> SoundStream:
    resources: Any = SimpleNamespace(player=SimpleNamespace(rate_hz=RATE_HZ), post_processor=post_processor)
    return SoundStream(RenderRequest(Line("a", "Text.")), resources, "render 1", part_bytes)


def made(samples: Samples, rate_hz: int) -> MadeSegment:
    return MadeSegment(Segment("a", 0, 1, "Text."), Utterance(samples, rate_hz, 0.1, "f5", "anna"), 0.15, True)


def test_no_part_is_larger_than_the_broker_takes() -> None:
    under_test = stream(PostProcessor(rate_hz=RATE_HZ, loudness_lufs=None, peak_dbtp=None), 5_000)
    under_test.add(made(speech(2.0, RATE_HZ), RATE_HZ))
    while under_test.encoding:
        under_test.encode_next()
    sizes = [len(part.data) for part in under_test.parts]
    assert max(sizes) == 5_000
    assert sum(sizes) == 2 * 2 * RATE_HZ
    assert abs(sum(part.audio_s for part in under_test.parts) - 2.0) < 0.001


def test_the_first_part_waits_for_little_of_a_long_segment() -> None:
    post_processor = Counting(rate_hz=RATE_HZ, loudness_lufs=None, peak_dbtp=None)
    sound = speech(12.0, 22_050)
    under_test = stream(post_processor)
    under_test.add(made(sound, 22_050))
    under_test.encode_next()
    assert [round(length_s, 1) for length_s in post_processor.lengths_s] == [QUIET_S]
    assert under_test.parts[0].audio_s == 0.25
    while under_test.encoding:
        under_test.encode_next()
    data = b"".join(part.data for part in under_test.parts)
    assert np.allclose(np.frombuffer(data, "<i2"), resample(sound, 22_050, RATE_HZ), atol=1), "no seam between the two"
    assert max(len(part.data) for part in under_test.parts) == RENDER_PART_BYTES
    assert abs(sum(part.audio_s for part in under_test.parts) - 12.0) < 0.001
    assert abs(under_test.audio_s - 12.0) < 0.001


def test_both_pieces_have_one_gain_and_stay_below_the_ceiling() -> None:
    under_test = stream(PostProcessor(rate_hz=RATE_HZ, loudness_lufs=-16.0, peak_dbtp=-1.0))
    under_test.add(made(speech(12.0, RATE_HZ), RATE_HZ))
    while under_test.encoding:
        under_test.encode_next()
    sound = np.frombuffer(b"".join(part.data for part in under_test.parts), "<i2").astype(float)
    assert np.abs(sound).max() < 32768 * 10 ** (-1 / 20)
    pieces = np.split(sound[: 12 * RATE_HZ], 12)
    levels = [float(np.std(piece)) for piece in pieces]
    assert max(levels[2:]) / min(levels[2:]) < 1.02
    assert 0.9 < levels[0] / levels[3] < 1.1
