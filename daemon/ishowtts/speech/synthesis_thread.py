"""The thread `synthesis`: jobs of the loudspeaker's lines first, renders while the scheduler lets them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

log = logging.getLogger(__name__)

GivesWay = Callable[[], bool]
"""Returns whether a line has waited so long for the job of a render that the job must end."""
RenderJob = Callable[[GivesWay], None]
NextRender = Callable[[float], RenderJob | None]
"""Returns the next job of a render if it is expected to take at most so many seconds."""

_LINE_WAITS_S = 0.3
"""A line waits so long for the job of a render, which usually ends by then. A GPU that hangs must not keep it."""

NOT_NOW_S = -math.inf
"""For `allow_renders`: a line needs the engine now."""


class SynthesisThread(Executor):
    """Runs one job at a time. Any thread may call any method; only `shutdown` may wait.

    A job that was submitted belongs to a line of the loudspeaker. It goes before every render that has not begun, and
    one that has begun gives way after 0.3 s. The order of renders is that of `next_render`. It is asked
    whenever the thread is free and renders are allowed.

    Args:
        name: Name of the thread. It starts with the first job.
        next_render: Gives the jobs of renders. It is called with a lock held: it must not call this object. What it
            raises does not reach the lines.
    """

    def __init__(self, name: str, next_render: NextRender = lambda _spare_s: None) -> None:
        self._name = name
        self._next_render = next_render
        self._changed = threading.Condition()
        self._lines: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._line_waits_from_s = math.inf  # while no line waits
        self._renders_until_s = NOT_NOW_S
        self._ask_renders = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._began_s: float | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queues a job of a line: a call of `fn`. Never blocks."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closing:
                raise RuntimeError(f"the thread {self._name} takes no more jobs")
            if not self._lines:
                self._line_waits_from_s = time.monotonic()
            self._lines.append((future, lambda: fn(*args, **kwargs)))
            self._start()
            self._changed.notify()
        return future

    def allow_renders(self, until_s: float) -> None:
        """Says until when the lines do not need the engine, in monotonic seconds; infinity if they do not need it.

        A render begins only if it is expected to end by then.
        """
        with self._changed:
            if until_s != self._renders_until_s and not self._closing:
                self._renders_until_s = until_s
                self._renders_may_go()

    def wake(self) -> None:
        """Asks for a render again: one has come, or one can go on."""
        with self._changed:
            if not self._closing:
                self._renders_may_go()

    def alive(self) -> bool:
        """Whether the thread runs, or is not meant to run."""
        return self._closing or self._thread is None or self._thread.is_alive()

    def busy_s(self) -> float:
        """Seconds that the present job has been running; 0 if there is none."""
        began_s = self._began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more jobs, and begins no more renders. The thread ends after the jobs that were not cancelled."""
        with self._changed:
            self._closing = True
            while cancel_futures and self._lines:
                self._lines.popleft()[0].cancel()
            self._changed.notify()
            thread = self._thread
        if wait and thread is not None:
            thread.join()

    def _renders_may_go(self) -> None:
        self._ask_renders = True
        if self._renders_until_s > NOT_NOW_S:
            self._start()
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None:
            # The process may end without this thread: a call of an engine in this process may never return.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """Runs the next job; `False` at the end. No variable keeps the sound of a job until the next one."""
        job = self._next()
        if job is None:
            return False
        self._began_s = time.monotonic()
        job()
        self._began_s = None
        return True

    def _next(self) -> Callable[[], None] | None:
        """Waits for the next job; `None` at the end."""
        with self._changed:
            while True:
                if self._lines:
                    future, call = self._lines.popleft()
                    self._line_waits_from_s = math.inf
                    return lambda: _run_job(future, call)
                if self._closing:
                    return None
                if (render := self._render()) is not None:
                    return lambda: _run_render(render, self._gives_way)
                self._changed.wait()

    def _gives_way(self) -> bool:
        return time.monotonic() - self._line_waits_from_s >= _LINE_WAITS_S

    def _render(self) -> RenderJob | None:
        spare_s = self._renders_until_s - time.monotonic()
        if not self._ask_renders or spare_s <= 0:
            return None
        try:
            render = self._next_render(spare_s)
        except Exception:
            log.exception("the next render could not be chosen")
            render = None
        self._ask_renders = render is not None
        return render


def _run_job(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _run_render(render: RenderJob, gives_way: GivesWay) -> None:
    try:
        render(gives_way)
    except Exception:
        log.exception("a render ended unexpectedly")
