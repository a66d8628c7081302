"""The thread `synthesis`: lines first, renders only while they are allowed."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from ishowtts.speech.synthesis_thread import NOT_NOW_S, GivesWay, RenderJob, SynthesisThread
from support.waiting import eventually


class Renders:
    """Renders that wait, each with the time that it should take."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, RenderJob]] = deque()

    def next(self, spare_s: float) -> RenderJob | None:
        return self.waiting.popleft()[1] if self.waiting and self.waiting[0][0] <= spare_s else None


@pytest.fixture
def renders() -> Renders:
    return Renders()


@pytest.fixture
def thread(renders: Renders) -> Iterator[SynthesisThread]:
    thread = SynthesisThread("jobs", renders.next)
    yield thread
    thread.shutdown()


def test_a_job_is_timed_while_it_runs_and_also_when_it_raises(thread: SynthesisThread) -> None:
    go = threading.Event()

    def fails() -> None:
        go.wait(10)
        raise ValueError("as it was meant to")

    job = thread.submit(fails)
    eventually(lambda: thread.busy_s() > 0.1, "the job")
    go.set()
    with pytest.raises(ValueError, match="meant to"):
        job.result(10)
    eventually(lambda: thread.busy_s() == 0.0, "its end")


def test_lines_go_before_renders_that_wait_longer(thread: SynthesisThread, renders: Renders) -> None:
    go, ran = threading.Event(), list[str]()
    thread.allow_renders(math.inf)
    renders.waiting += [(1.0, lambda _: (go.wait(10), ran.append("render"))[1]), (1.0, lambda _: ran.append("last"))]
    thread.wake()
    eventually(lambda: not go.is_set() and len(renders.waiting) == 1, "the first render")
    lines = [thread.submit(ran.append, "line"), thread.submit(ran.append, "line")]
    go.set()
    for line in lines:
        line.result(10)
    eventually(lambda: len(ran) == 4, "the last render")
    assert ran == ["render", "line", "line", "last"]


def test_no_render_begins_while_a_line_needs_the_engine(thread: SynthesisThread, renders: Renders) -> None:
    ran = threading.Event()
    renders.waiting.append((0.0, lambda _: ran.set()))
    thread.wake()
    thread.submit(lambda: None).result(10)
    thread.allow_renders(NOT_NOW_S)
    thread.submit(lambda: None).result(10)
    assert not ran.wait(0.05)
    thread.allow_renders(math.inf)
    assert ran.wait(10)


def test_a_render_begins_only_if_the_sound_of_the_line_lasts_longer(thread: SynthesisThread, renders: Renders) -> None:
    ran = threading.Event()
    renders.waiting.append((5.0, lambda _: ran.set()))
    thread.allow_renders(time.monotonic() + 4.0)
    thread.wake()
    assert not ran.wait(0.05)
    thread.allow_renders(time.monotonic() + 20.0)
    assert ran.wait(10)


def test_a_render_that_raises_does_not_end_the_thread(
    thread: SynthesisThread, renders: Renders, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_gives_way: GivesWay) -> None:
        raise ValueError("as it was meant to")

    ran = threading.Event()
    renders.waiting += [(0.0, fails), (0.0, lambda _: ran.set())]
    thread.allow_renders(math.inf)
    assert ran.wait(10)
    assert "a render ended unexpectedly" in caplog.text


def test_a_fault_in_the_choice_of_a_render_does_not_reach_the_lines(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_spare_s: float) -> RenderJob | None:
        raise KeyError("as it was meant to")

    thread = SynthesisThread("jobs", fails)
    thread.allow_renders(math.inf)
    thread.wake()
    eventually(lambda: "could not be chosen" in caplog.text, "the fault")
    assert thread.submit(lambda: "spoken").result(10) == "spoken"
    assert thread.alive()
    thread.shutdown()


def test_after_shutdown_what_waits_is_cancelled_and_nothing_is_taken(thread: SynthesisThread, renders: Renders) -> None:
    go = threading.Event()
    running = thread.submit(go.wait, 10)
    eventually(running.running, "the job")
    waiting = thread.submit(lambda: None)
    renders.waiting.append((0.0, lambda _: None))
    thread.allow_renders(math.inf)
    thread.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="takes no more jobs"):
        thread.submit(lambda: None)
    go.set()
    assert running.result(10)
    thread.shutdown()
    assert renders.waiting, "no render begins any more"
