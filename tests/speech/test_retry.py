"""A line that waits for a voice, or for the fallback engine, lets the lines in other voices pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from ishowtts.errors import EngineError, EngineUnavailable, VoiceError, WorkerDied
from ishowtts.inbox import read_history, wait_for
from ishowtts.model import IsCancelled, Line, Priority, Segment, Utterance
from ishowtts.speech import retry
from ishowtts.speech.retry import EngineBackoff, HeldLines
from support.speech_harness import Harness, ToneEngine
from support.waiting import eventually

MakeHarness = Callable[..., Harness]


class BrokenFallback(ToneEngine):
    """A fallback engine that does not work until it is repaired."""

    def __init__(self) -> None:
        super().__init__("espeak")
        self.repaired = False
        self.tries = 0

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        self.tries += 1
        if not self.repaired:
            self.problem = "espeak-ng does not work"
            raise EngineUnavailable(self.problem)
        return super().synthesize(segment, cancelled)


def test_lines_in_an_unusable_voice_wait_for_the_fallback_engine_and_others_pass(
    make_harness: MakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """espeak-ng is broken for a while: no line fails, and no other line waits for those in the broken voice."""
    for limit in ("_MIN_DELAY_S", "_MAX_DELAY_S"):  # so that no retry after a delay hides what is tested
        monkeypatch.setattr(retry, limit, 60.0)
    fallback = BrokenFallback()
    harness = make_harness(fallback=fallback)
    harness.primary.unusable_voices = {"broken"}
    bad = [f"bad-{n}" for n in range(4)]
    harness.say(*(Line(name, name, voice="broken") for name in bad), Line("urgent", "now", "broken", Priority.URGENT))
    harness.say(Line("good", "one"), Line("better", "two", voice="anna"))
    assert harness.await_outcome("good") == "finished"
    assert harness.await_outcome("better") == "finished"
    assert [harness.outcome(name) for name in (*bad, "urgent")] == [None] * 5
    assert harness.inbox.depth() == 5
    assert harness.primary.prepared.count("broken") == 1, "one line was tried for all"
    reason = "the voice 'broken' holds nothing; espeak-ng does not work"
    eventually(lambda: reason.endswith(str(harness.scheduler.status.retry_reason)), "the reason in the status")
    fallback.repaired, fallback.problem = True, None
    harness.scheduler.wake()
    assert [harness.await_outcome(name) for name in ("urgent", *bad)] == ["finished"] * 5
    eventually(lambda: harness.scheduler.status.retry_reason is None, "no reason")
    order = [entry.id for entry in reversed(read_history(harness.path, 50)) if entry.id in bad]
    assert order == bad


def test_a_fallback_engine_that_is_known_to_be_broken_is_not_run(make_harness: MakeHarness) -> None:
    """An espeak-ng that hangs takes 10 s for each run, in which no other line could be made."""
    fallback = BrokenFallback()
    fallback.problem = "espeak-ng does not work (it hangs)"
    harness = make_harness(fallback=fallback)
    harness.primary.unusable_voices = {"broken"}
    harness.say(Line("a", "one", voice="broken"), Line("b", "two"))
    assert harness.await_outcome("b") == "finished"
    assert (fallback.tries, harness.outcome("a")) == (0, None)
    reason = "the voice 'broken' holds nothing; espeak-ng does not work (it hangs)"
    assert harness.scheduler.status.retry_reason == reason


def test_without_a_fallback_lines_that_name_no_voice_wait_and_others_pass(harness: Harness) -> None:
    harness.primary.unusable_voices = {None}
    harness.say(Line("a", "one"), Line("urgent", "now", priority=Priority.URGENT))
    harness.say(Line("b", "two", voice="anna"), Line("c", "three", voice="anna"), Line("short", "four", ttl_s=0.2))
    assert [harness.await_outcome(name) for name in ("b", "c", "short")] == ["finished", "finished", "expired"]
    assert (harness.outcome("a"), harness.outcome("urgent")) == (None, None)
    harness.primary.unusable_voices = set()
    harness.scheduler.voices_changed()
    assert [harness.await_outcome(name) for name in ("urgent", "a")] == ["finished"] * 2


def test_a_held_voice_is_retried_by_itself_and_forgotten_once_no_line_waits(harness: Harness) -> None:
    harness.primary.unusable_voices = {None}
    harness.say(Line("a", "one"), Line("b", "two"))
    eventually(lambda: len(harness.primary.prepared) >= 2, "the second try")
    assert wait_for(harness.inbox.cancel_waiting("cancel", "a")) in (0, 1)
    harness.primary.unusable_voices = set()
    assert harness.await_outcome("b") == "finished"
    wait_for(harness.inbox.cancel_waiting("stop"))
    eventually(lambda: harness.scheduler.status.retry_reason is None, "no reason")


def test_the_delay_between_tries_of_a_held_voice_grows(harness: Harness) -> None:
    harness.primary.unusable_voices = {None}
    harness.say(Line("a", "one"))
    eventually(lambda: len(harness.primary.prepared_s) == 4, "the fourth try")
    assert harness.scheduler.status.retry_reason
    delays_s = [after - before for before, after in pairwise(harness.primary.prepared_s)]
    assert all(delay_s > least_s for delay_s, least_s in zip(delays_s, (0.4, 0.9, 1.9), strict=True)), delays_s


def test_a_pause_also_holds_lines_that_would_pass(harness: Harness) -> None:
    harness.primary.unusable_voices = {None}
    harness.say(Line("a", "one"))
    eventually(lambda: harness.scheduler.status.retry_reason, "the reason")
    harness.set_paused(True)
    harness.say(Line("b", "two", voice="anna"))
    assert harness.outcome("b") is None
    harness.set_paused(False)
    assert harness.await_outcome("b") == "finished"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (VoiceError("its clip is damaged"), "the default voice cannot be used: its clip is damaged"),
        (EngineError("the device is lost"), "the device is lost"),
    ],
)
def test_lines_wait_for_an_engine_that_fails_at_each_and_the_delay_grows(
    harness: Harness, error: Exception, sentence: str
) -> None:
    harness.primary.prepare_error = error
    harness.say(Line("a", "one"), Line("b", "two"))
    eventually(lambda: len(harness.primary.prepared_s) == 3, "the third try")
    assert harness.scheduler.status.retry_reason == sentence
    first_s, second_s = (after - before for before, after in pairwise(harness.primary.prepared_s))
    assert 0.4 < first_s < second_s
    assert second_s > 0.9
    assert (harness.outcome("a"), harness.outcome("b")) == (None, None)
    harness.primary.prepare_error = None
    assert harness.await_outcome("a") == "finished"
    assert harness.await_outcome("b") == "finished"
    assert harness.scheduler.status.retry_reason is None


def test_lines_that_kill_workers_one_after_another_do_not_make_the_delay_grow(harness: Harness) -> None:
    harness.primary.errors = [WorkerDied("the worker died") for _ in range(6)]
    harness.say(*(Line(line_id, line_id) for line_id in "abc"), Line("good", "good"))
    assert harness.await_outcome("good") == "finished"
    assert [harness.outcome(line_id) for line_id in "abc"] == ["failed"] * 3
    tries_s = harness.primary.prepared_s
    delays_s = [second - first for first, second in zip(tries_s[:6:2], tries_s[1:6:2], strict=True)]
    assert all(0.4 < delay_s < 1.5 for delay_s in delays_s), delays_s


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(retry.time, "monotonic", lambda: now[0])
    return now


def test_held_lines_are_released_one_at_a_time_with_growing_delays(now_s: list[float]) -> None:
    held = HeldLines(lambda: frozenset({"espeak"}))
    assert held.hold("a", "why")
    assert held.hold("b", "why")
    tries_s = []
    for _ in range(1000):
        now_s[0] += 0.1
        held.release_next()
        for voice in {"a", "b"} - held.now():
            tries_s.append(now_s[0])
            assert not held.hold(voice, "why"), "it was held before"
        assert held.reason == "why"
    delays_s = [round(after - before) for before, after in pairwise(tries_s)]
    assert delays_s == sorted(delays_s)
    assert delays_s[-1] == 8


def test_a_voice_whose_lines_are_gone_is_forgotten(now_s: list[float]) -> None:
    held = HeldLines(lambda: frozenset({"espeak"}))
    held.hold("a", "why")
    now_s[0] += 10
    held.release_next()
    assert (held.now(), held.reason) == (frozenset(), "why")
    now_s[0] += 10
    held.release_next()
    assert held.reason is None
    held.hold("a", "why")
    held.release_if_old()
    assert held.reason == "why", "the line that was put back is perhaps not counted yet"
    now_s[0] += 2
    held.release_if_old()
    assert held.reason is None


def test_all_are_released_once_another_engine_works_again(now_s: list[float]) -> None:
    working: frozenset[str] = frozenset({"hibari"})
    held = HeldLines(lambda: working)
    held.hold("a", "why")
    held.hold(None, "why")
    assert held.now() == {"a", None}
    working |= {"espeak"}
    assert held.now() == frozenset()


def test_the_backoff_doubles_up_to_a_limit_until_it_is_reset(now_s: list[float]) -> None:
    backoff, delays_s = EngineBackoff(), []
    assert not backoff.waiting
    for _ in range(7):
        backoff.start("no engine")
        began_s = now_s[0]
        while backoff.waiting:
            now_s[0] += 0.25
        delays_s.append(now_s[0] - began_s)
    assert delays_s == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert backoff.reason == "no engine"
    backoff.reset_if_old()
    assert backoff.reason == "no engine", "the line that was put back is perhaps not counted yet"
    now_s[0] += 1
    backoff.reset_if_old()
    assert backoff.reason is None
    backoff.start("no engine")
    now_s[0] += 0.5
    assert not backoff.waiting


RUSSIAN = "Привет, как у тебя дела?"


def test_a_line_whose_engine_is_away_waits_and_lines_in_other_languages_pass(make_harness: MakeHarness) -> None:
    espeak = ToneEngine("espeak")
    harness = make_harness(fallback=espeak, languages=({"en"}, {"en", "ru"}))
    espeak.ready = False
    harness.say(Line("a", RUSSIAN), Line("b", "one"), Line("c", "two"))
    assert harness.await_outcome("c") == "finished"
    assert harness.outcome("a") is None
    assert harness.scheduler.status.retry_reason == "it is warming"
    espeak.ready = True
    harness.scheduler.wake()
    assert harness.await_outcome("a") == "finished"
    assert espeak.spoken == [RUSSIAN]


def test_an_urgent_line_whose_engine_is_away_is_not_passed(make_harness: MakeHarness) -> None:
    espeak = ToneEngine("espeak")
    harness = make_harness(fallback=espeak, languages=({"en"}, {"en", "ru"}))
    espeak.ready = False
    harness.say(Line("a", RUSSIAN, priority=Priority.URGENT), Line("b", "one"))
    eventually(lambda: harness.scheduler.status.retry_reason, "its try")
    espeak.ready = True
    assert harness.await_outcome("a") == "finished"
    assert harness.await_outcome("b") == "finished"
    assert [event for _, event in harness.events()].count("interrupted") == 0
