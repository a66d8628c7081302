"""Segment lengths, tried on a simulated loudspeaker; the size of runs; and measured costs."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import text
from ishowtts.engines import VoiceInfo
from ishowtts.model import Utterance
from ishowtts.speech import segment_planner
from ishowtts.speech.segment_planner import CostModel

BYTES_PER_S = 15.0
SEAM_S = 0.15
WORDS = st.lists(st.sampled_from(["so", "the", "people", "found", "water", "why", "3.14"]), min_size=1, max_size=14)
CLAUSES = st.builds(lambda words, end: " ".join(words) + end, WORDS, st.sampled_from([",", ".", "!", ""]))
TEXTS = st.lists(CLAUSES, min_size=1, max_size=30).map(" ".join)
COSTS = st.floats(0.005, 1.5)
REFERENCES_S = st.floats(1.5, 15)
STORY = "Once there was a king, and he had a board. It spoke to him all day long, of tea and of stoves. " * 4


def voice(reference_s: float) -> VoiceInfo:
    """A voice of F5: reference and sound together are 22 s at most."""
    max_bytes = int(BYTES_PER_S * (22 - reference_s))
    return VoiceInfo("any", max_bytes, reference_s=reference_s, bytes_per_s=BYTES_PER_S, seam_s=SEAM_S)


def play(lengths_s: list[float], reference_s: float, cost: float) -> tuple[float, float]:
    """Seconds to the first sound, and of silence between segments, as the speech task works.

    One segment is made while at most one other waits behind the one that is heard.
    """
    ends_s: list[float] = []
    made_s = first_s = silent_s = 0.0
    for i, length_s in enumerate(lengths_s):
        begins_s = max(made_s, ends_s[i - 2] if i > 1 else 0.0)
        made_s = begins_s + cost * (reference_s + length_s)
        if i == 0:
            first_s = starts_s = made_s
        else:
            left_s = ends_s[-1] - made_s
            silent_s += max(0.0, -left_s)
            starts_s = max(made_s, ends_s[-1]) - min(SEAM_S, max(0.0, left_s))
        ends_s.append(starts_s + length_s)
    return first_s, silent_s


def simulate(segments: list[str], voice_info: VoiceInfo, cost: float, speed: float = 1.0) -> tuple[float, float]:
    return play(segment_planner.sound_s(segments, voice_info, speed), voice_info.reference_s or 0.0, cost)


@settings(max_examples=300)
@given(TEXTS, REFERENCES_S, COSTS, st.sampled_from([0.5, 1.0, 1.0, 2.0]), st.floats(0.3, 1.25))
def test_a_short_first_segment_is_heard_sooner_and_sound_never_runs_dry(
    line: str, reference_s: float, cost: float, speed: float, luck: float
) -> None:
    voice_info, whole = voice(reference_s), text.clean(line)
    plain = segment_planner.split(whole, voice_info, None, speed)
    early = segment_planner.split(whole, voice_info, cost, speed)
    if early == plain:
        return
    # A machine that is slower than it was measured, within the margin, keeps ahead all the same.
    first_s, silent_s = simulate(early, voice_info, luck * cost, speed)
    assert silent_s == 0.0
    assert first_s < simulate(plain, voice_info, luck * cost, speed)[0]
    assert len(early[0].encode()) >= 12
    assert segment_planner.sound_s(early, voice_info, speed)[0] >= 1.0
    assert " ".join(early).split() == " ".join(plain).split()


def test_sound_never_runs_dry_over_a_grid_of_costs_voices_and_lengths() -> None:
    """Most random texts get no short first segment, and would prove nothing."""
    rng = random.Random(7)
    shortened = 0
    for clauses in (2, 3, 4, 6, 9, 14, 25):
        for reference_s in (2.0, 4.0, 6.0, 8.0, 11.0):
            for cost in (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
                words = [" ".join(rng.choices(["so", "people", "water"], k=rng.randint(2, 16))) for _ in range(clauses)]
                whole = ", ".join(words) + "."
                voice_info = voice(reference_s)
                plain, early = (
                    segment_planner.split(whole, voice_info, None),
                    segment_planner.split(whole, voice_info, cost),
                )
                if early != plain:
                    shortened += 1
                    assert simulate(early, voice_info, 1.25 * cost)[1] == 0.0, (reference_s, cost, early)
                    assert simulate(plain, voice_info, cost)[0] - simulate(early, voice_info, cost)[0] >= 0.2
    assert shortened > 50


@given(TEXTS, REFERENCES_S, st.none() | COSTS)
def test_every_segment_fits_the_voice(line: str, reference_s: float, cost: float | None) -> None:
    voice_info = voice(reference_s)
    assert all(
        len(part.encode()) <= voice_info.max_segment_bytes
        for part in segment_planner.split(text.clean(line), voice_info, cost)
    )


def test_the_slower_the_machine_the_longer_the_first_segment() -> None:
    voice_info = voice(5.0)
    plain_s = segment_planner.sound_s(segment_planner.split(STORY.strip(), voice_info, None), voice_info, 1.0)[0]
    firsts = [segment_planner.split(STORY.strip(), voice_info, cost)[0] for cost in (0.03, 0.06, 0.2, 0.4)]
    firsts_s = segment_planner.sound_s(firsts, voice_info, 1.0)
    assert firsts_s == sorted(firsts_s)
    assert firsts_s[0] < 3.2 < firsts_s[-1] < plain_s
    assert all(first.endswith((",", ".")) for first in firsts)


def test_the_first_segment_is_the_shortest_that_keeps_ahead() -> None:
    voice_info, cost = voice(5.0), 0.2
    bound = segment_planner.first_min_bytes(voice_info, cost, 1.0, 10_000)
    assert bound is not None
    longest_s = voice_info.max_segment_bytes / BYTES_PER_S
    assert segment_planner.keeps_ahead([bound / BYTES_PER_S, longest_s], voice_info, cost)
    assert not segment_planner.keeps_ahead([(bound - 2) / BYTES_PER_S, longest_s], voice_info, cost)


def test_the_first_segment_is_never_shorter_than_a_phrase() -> None:
    assert segment_planner.first_min_bytes(voice(2.0), 0.001, 1.0, 10_000) == 15, "a second of sound"
    assert segment_planner.first_min_bytes(replace(voice(2.0), bytes_per_s=5.0), 0.001, 1.0, 10_000) == 12


@pytest.mark.parametrize("cost", [None, 0.77, 0.95, 1.0, 4.0])
def test_with_an_unknown_or_high_cost_the_first_segment_is_not_short(cost: float | None) -> None:
    voice_info = voice(8.0)
    assert segment_planner.split(STORY.strip(), voice_info, cost) == text.segments(STORY, voice_info.max_segment_bytes)


def test_a_short_line_is_not_split_for_a_gain_that_nobody_notices() -> None:
    assert segment_planner.split("Hello there, everybody. How are you today?", voice(5.0), 0.03) == [
        "Hello there, everybody. How are you today?"
    ]


@pytest.mark.parametrize("missing", ["reference_s", "bytes_per_s"])
def test_without_reference_or_speech_rate_the_first_segment_is_not_short(missing: str) -> None:
    voice_info = replace(voice(5.0), **{missing: None})
    assert segment_planner.split(STORY.strip(), voice_info, 0.06) == text.segments(STORY, voice_info.max_segment_bytes)


def test_slow_speech_gets_shorter_segments_and_fast_speech_no_longer_ones() -> None:
    voice_info = voice(8.0)
    assert [segment_planner.longest_bytes(voice_info, speed) for speed in (0.5, 1.0, 2.0)] == [105, 210, 210]
    assert segment_planner.longest_bytes(VoiceInfo("en-us", 400), 0.5) == 400


BATCHED = VoiceInfo("anna", 160, reference_s=5.0, bytes_per_s=15.0, seam_s=0.15, batch_s=120.0)
TENS = [10.0] * 20


@pytest.mark.parametrize(
    ("lengths_s", "voice_info", "cost", "unplayed_s", "count"),
    [
        (TENS, BATCHED, 0.01, 60.0, 6),  # 6 of 10 s and the unplayed sound are 120 s
        (TENS, BATCHED, 0.01, 40.0, 8),
        (TENS, BATCHED, 0.06, 11.3, 8),  # 0.3 s of seams, 8 times 0.2 s, and 1.3 times 7.2 s are a little less
        (TENS, BATCHED, 0.06, 11.2, 7),
        (TENS, BATCHED, 0.06, 3.0, 1),  # 0.3 s, twice 0.2 s, and 1.3 times 1.8 s are a little more
        (TENS, BATCHED, 0.06, 3.1, 2),
        (TENS, BATCHED, 0.06, 0.0, 1),
        (TENS, BATCHED, 0.06, -3.0, 1),
        (TENS[:3], BATCHED, 0.06, 11.3, 3),
        (TENS[:1], BATCHED, 0.06, 11.3, 1),
        (TENS, replace(BATCHED, batch_s=45.0), 0.01, 40.0, 3),
        ([2.0, 2.0, 10.0, 2.0], replace(BATCHED, batch_s=44.0), 0.01, 40.0, 2),  # all are as long as the longest
        (TENS, replace(BATCHED, batch_s=29.0), 0.01, 40.0, 1),
        (TENS, replace(BATCHED, batch_s=0.0), 0.01, 40.0, 1),
        (TENS, BATCHED, None, 40.0, 1),
        (TENS, replace(BATCHED, reference_s=None), 0.01, 40.0, 1),
        (TENS, BATCHED, 3.0, 100.0, 1),
    ],
)
def test_a_run_has_as_many_segments_as_are_covered_and_allowed(
    lengths_s: list[float], voice_info: VoiceInfo, cost: float | None, unplayed_s: float, count: int
) -> None:
    assert segment_planner.batch_size(lengths_s, voice_info, cost, unplayed_s) == count


SECONDS = st.floats(0.1, 30.0)


@given(
    st.lists(SECONDS, min_size=1, max_size=20),
    st.builds(
        VoiceInfo,
        st.just("any"),
        st.just(160),
        reference_s=st.none() | SECONDS,
        bytes_per_s=st.just(15.0),
        seam_s=st.sampled_from([0.0, 0.15]),
        batch_s=st.floats(0.0, 1000.0),
    ),
    st.none() | st.floats(0.001, 2.0),
    st.floats(-10.0, 200.0),
)
def test_the_batch_size_keeps_every_limit_and_one_more_would_break_one(
    lengths_s: list[float], voice_info: VoiceInfo, cost: float | None, unplayed_s: float
) -> None:
    def allowed(n: int) -> bool:
        if n > min(8, len(lengths_s)) or cost is None or voice_info.reference_s is None:
            return False
        run_s = n * (voice_info.reference_s + max(lengths_s[:n]))
        runs_dry = unplayed_s < n * 0.2 + 2 * voice_info.seam_s + 1.3 * cost * run_s
        return run_s <= voice_info.batch_s and not runs_dry and unplayed_s + sum(lengths_s[:n]) <= 120.0

    count = segment_planner.batch_size(lengths_s, voice_info, cost, unplayed_s)
    assert 1 <= count <= 8
    assert count == 1 or allowed(count)
    assert not allowed(count + 1)


MEASURED = VoiceInfo("any", 140, reference_s=6.0)


def sound(synth_s: float, audio_s: float = 4.0) -> Utterance:
    return Utterance(np.zeros(int(100 * audio_s), np.int16), 100, synth_s, "f5", "any")


def test_the_cost_is_the_time_for_a_second_of_reference_and_sound() -> None:
    costs = CostModel()
    assert costs.estimate("f5", None, MEASURED) is None
    costs.learn("f5", None, sound(0.5), MEASURED)
    assert costs.estimate("f5", None, MEASURED) == pytest.approx(0.05)


def test_one_slow_segment_does_not_count_and_a_slower_machine_does() -> None:
    costs = CostModel()
    for synth_s in [0.5, 0.5, 9.0, 0.5, 0.5]:
        costs.learn("f5", None, sound(synth_s), MEASURED)
    assert costs.estimate("f5", None, MEASURED) == pytest.approx(0.05)
    for _ in range(9):
        costs.learn("f5", None, sound(1.0), MEASURED)
    assert costs.estimate("f5", None, MEASURED) == pytest.approx(0.1)


def test_a_line_of_more_evaluations_has_a_cost_of_its_own() -> None:
    costs = CostModel()
    costs.learn("f5", 32, sound(2.0), MEASURED)
    assert costs.estimate("f5", None, MEASURED) is None
    assert costs.estimate("f5", 32, MEASURED) == pytest.approx(0.2)


def test_the_cost_starts_from_what_the_voice_brings() -> None:
    costs = CostModel()
    voice_info = VoiceInfo("any", 140, reference_s=6.0, cost=0.05)
    assert costs.estimate("f5", None, voice_info) == 0.05
    assert costs.estimate("f5", 32, voice_info) is None, (
        "the voice brings it for the engine's own number of evaluations"
    )
    for _ in range(2):
        costs.learn("f5", None, sound(1.0), voice_info)
    assert costs.estimate("f5", None, voice_info) == pytest.approx(0.1)


def test_an_engine_without_a_reference_is_not_measured() -> None:
    costs = CostModel()
    costs.learn("espeak", None, sound(0.5), VoiceInfo("en-us", 400))
    assert costs.estimate("espeak", None, VoiceInfo("en-us", 400)) is None
