"""How far a line is: it changes when a segment begins, not more often, and the rest is estimated."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ishowtts.model import Line, Segment, Utterance
from ishowtts.playback.playback_buffer import Playing
from ishowtts.speech.line_synthesis import PlannedSegment
from ishowtts.speech.speech_progress import ProgressMeter, SpeechProgress
from support.speech_harness import Harness
from support.waiting import eventually

RATE_HZ = 100


def planned(*texts: str) -> list[PlannedSegment]:
    return [PlannedSegment(Segment("a", i, len(texts), text), 0) for i, text in enumerate(texts)]


def utterance(sound_s: float, engine: str = "f5") -> Utterance:
    return Utterance(np.zeros(round(sound_s * RATE_HZ), np.int16), RATE_HZ, 0.1, engine, f"{engine}'s")


def playing(begun: bool = True) -> Playing:
    handle = Playing()
    handle.started_at = time.monotonic() if begun else None
    return handle


def test_a_line_tells_how_much_of_it_was_heard_and_how_much_is_left() -> None:
    meter, segments = ProgressMeter(), planned("Ten bytes.", "Twenty bytes of text", "Ten bytes.")
    assert meter.progress is None
    first = playing(begun=False)
    meter.queued(segments[0], utterance(2.0), 3.0)  # a second of it is a chime
    meter.follow(first, 0, segments)
    assert meter.progress == SpeechProgress("f5", "f5's", None, 1, 3, 0.0, 3.0 + 30 * 2.0 / 10)
    first.started_at = time.monotonic()
    meter.follow(first, 0, segments)
    since = meter.progress.since
    assert since is not None
    meter.queued(segments[1], utterance(4.4, "espeak"), 4.0)
    meter.follow(first, 0, segments)
    assert meter.progress.left_s == 9.0, "it changes only when a segment begins"
    meter.follow(playing(), 1, segments)
    assert meter.progress == SpeechProgress("espeak", "espeak's", since, 2, 3, 3.0, round(4.0 + 10 * 6.4 / 30, 2))
    meter.queued(segments[2], utterance(2.0), 2.0)
    meter.follow(playing(begun=False), 2, segments)
    assert meter.progress.segment == 2, "the third was not heard yet"
    meter.follow(playing(), 2, segments)
    assert meter.progress == SpeechProgress("f5", "f5's", since, 3, 3, 7.0, 2.0)


def test_segments_that_are_planned_again_count_as_they_are_now() -> None:
    meter, segments = ProgressMeter(), planned("Ten bytes.", "Ten bytes.")
    meter.queued(segments[0], utterance(1.0), 1.0)
    segments[1:] = planned("Five.", "Five.", "Ten bytes.")
    meter.follow(playing(), 0, segments)
    assert meter.progress == SpeechProgress("f5", "f5's", meter.progress.since, 1, 4, 0.0, 3.0)


def test_while_nothing_is_known_of_a_text_the_rest_is_unknown() -> None:
    meter, segments = ProgressMeter(), planned("", "Something.")
    meter.queued(segments[0], utterance(1.0), 1.0)
    meter.follow(playing(), 0, segments)
    assert meter.progress.left_s is None


def test_each_segment_of_a_line_is_told_once(make_harness: Callable[..., Harness]) -> None:
    harness = make_harness(paced=True)
    told: list[SpeechProgress | None] = []
    harness.scheduler._on_change = lambda: told.append(harness.scheduler.status.progress)
    text = "This is the first sentence of three. This is the second sentence. This is the last sentence of all."
    harness.say(Line("a", text))
    assert harness.await_outcome("a") == "finished"
    eventually(lambda: told[-1] is None)
    [before, *heard] = dict.fromkeys(progress for progress in told if progress is not None)
    assert (before.segment, before.since) == (1, None)
    assert [progress.segment for progress in heard] == [1, 2, 3][: heard[-1].segments]
    assert len({progress.since for progress in heard}) == 1
    total_s = harness.reports[0].audio_s
    for progress in heard:
        assert abs(progress.played_s + (progress.left_s or 0.0) - total_s) < 0.25 * total_s
    assert heard[-1].played_s + heard[-1].left_s == round(total_s, 2)
