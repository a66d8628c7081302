"""Measures whether F5 is fast enough to speak here. If it is not, and nobody forces it, another engine leads."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import worker_problem
from ishowtts.engines.worker.worker_engine import WorkerEngine
from ishowtts.errors import EngineError
from ishowtts.util.loop_thread import LoopThread

log = logging.getLogger(__name__)

_TYPICAL_SPEECH_S = 5.0  # sound of a line of chat; a shorter line costs more, since each pays for the reference clip
_IDLE_S = 60.0


def real_time_factor(voice: VoiceInfo) -> float | None:
    """Returns the seconds of work for one second of a typical line; `None` if the cost of the voice is not known."""
    if voice.cost is None or voice.reference_s is None:
        return None
    return voice.cost * (voice.reference_s + _TYPICAL_SPEECH_S) / _TYPICAL_SPEECH_S


class F5Speed:
    """The speed of F5 with the default voice, measured when its worker was warm for the first time.

    Args:
        worker: F5.
        max_rtf: highest real-time factor at which it may lead.
        forced: whether it speaks at any speed.

    Attributes:
        forced: as above.
        rtf: seconds of work for one second of speech; `None` if that is not known.
        measured: whether the measurement is done.
    """

    def __init__(self, worker: WorkerEngine, max_rtf: float, *, forced: bool) -> None:
        self._worker = worker
        self._max_rtf = max_rtf
        self.forced = forced
        self.rtf: float | None = None
        self.measured = False

    def problem(self) -> str | None:
        """Returns why F5 cannot speak now; `None` if it can. No line may begin with an engine that is taken away."""
        if self.measured or self.forced:
            return worker_problem(self._worker)
        return worker_problem(self._worker) or "the speed of F5 is not known yet"

    def measure(self) -> bool:
        """Reads what the warm worker has measured. Returns whether this was done now. May wait for the worker."""
        if self.measured or worker_problem(self._worker) is not None:
            return False
        try:
            self.rtf = real_time_factor(self._worker.prepare(None))
        except EngineError as error:
            log.debug("the speed of F5 is not known yet: %s", error)  # the next worker is asked again
            return False
        self.measured = True
        return True

    @property
    def is_slow(self) -> bool:
        """Whether it is slower than `max_rtf`."""
        return self.rtf is not None and self.rtf > self._max_rtf

    def sentence(self, leader: str | None) -> str | None:
        """Returns what an operator should know of a slow F5, with what would help; `None` if it is not slow.

        Args:
            leader: the engine that leads instead; `None` if F5 speaks nevertheless.
        """
        if self.rtf is None or not self.is_slow:
            return None
        rtf = f"{self.rtf:.0f}" if self.rtf >= 10 else f"{self.rtf:.2g}"
        needs = f"F5 needs {rtf} s for a second of speech here (engine.f5.max_rtf is {self._max_rtf:g})"
        helps = "a GPU or a smaller engine.f5.nfe_step would help"
        if leader is None:
            return f"{needs}, so lines are heard late; {helps}"
        return f"{needs}, so {leader} leads; {helps}, and engine.kind f5 forces it"


class SpeedCheck(LoopThread):
    """The thread `speed-check`. It does its work once, after F5 became ready; `wake` it when that may have changed.

    Args:
        check: measures the speed and acts on it. It may wait for the worker, and must not raise.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__("speed-check")
        self._check = check

    def run_once(self, last: bool) -> float:
        """Checks the speed, if that is not done."""
        if not last:
            self._check()
        return _IDLE_S
