"""The synthesis of one render: its text is read and split, then its segments are made, one in each turn."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ishowtts.errors import Cancelled, EngineError, EngineUnavailable, IShowError, SynthesisError, VoiceError
from ishowtts.inbox import DequeuedLine
from ishowtts.model import IsCancelled, RenderRequest, Segment, Utterance
from ishowtts.speech.line_synthesis import PlannedSegment
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.speech.synthesis_thread import GivesWay
from ishowtts.util.backoff import Backoff

log = logging.getLogger(__name__)

_PLAN_S = 0.5  # what reading and splitting a text should take at most, and preparing its voice
_MIN_RETRY_S, _MAX_RETRY_S = 0.5, 4.0


@dataclass(frozen=True)
class MadeSegment:
    """A segment and its sound, as the engine returned it.

    Attributes:
        seam_s: Length of the cross-fade with a segment of the same engine before or after it, in seconds.
        is_last: Whether it ends the text.
    """

    segment: Segment
    utterance: Utterance
    seam_s: float
    is_last: bool


class RenderTask:
    """Makes the sound of one render, without its post-processing. `run` is called on the thread `synthesis` only.

    Args:
        request: What to render, after the policies.
        on_change: Called when a segment was made, or when the task failed.

    Attributes:
        made: The segments that nobody has taken yet. Another thread takes them from its left end.
        began_s: When its turn came first, in monotonic seconds; `None` before that.
        failure: Why no more sound comes; `None` if it does.
        retry_at_s: When it may be tried again after no engine could speak, in monotonic seconds.
        waits_for: Why no engine could speak when it was tried last; `None` if one did, or if it was not tried.
    """

    def __init__(self, request: RenderRequest, resources: SpeechResources, on_change: Callable[[], None]) -> None:
        self.request = request
        self.made: deque[MadeSegment] = deque()
        self.began_s: float | None = None
        self.failure: IShowError | None = None
        self.retry_at_s = 0.0
        self.waits_for: EngineError | None = None
        self._resources = resources
        self._on_change = on_change
        self._line_synthesis = resources.synthesizer.begin_render(is_segment=request.is_segment)
        self._spoken_text: str | None = request.line.text if request.is_segment else None
        self._coming: Sequence[PlannedSegment] | None = None
        self._sound_was_made = False
        self._was_tried_again = False
        self._backoff = Backoff(_MIN_RETRY_S, _MAX_RETRY_S)
        self._cancelled = threading.Event()

    @property
    def planned(self) -> bool:
        """Whether the text was split. Until then, nothing of the sound was made."""
        return self._coming is not None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to make: all of it was made, it failed, or it was stopped."""
        return self._cancelled.is_set() or self.failure is not None or self._coming == []

    @property
    def expected_s(self) -> float:
        """How long the next call of `run` should take, in seconds. Call it on the thread `synthesis`."""
        return _PLAN_S if self._coming is None else self._line_synthesis.expected_s(self._coming)

    def stop(self) -> None:
        """Make a running call of `run` end early. No more sound is made."""
        self._cancelled.set()

    def run(self, gives_way: GivesWay = lambda: False) -> None:
        """Read and split the text, or make the next segment. Never raises.

        Args:
            gives_way: Whether it must end early, because a line of the loudspeaker waits. Then it is done again later.
        """
        if self.began_s is None:
            self.began_s = time.monotonic()
        try:
            if self._coming is None:
                self._plan(lambda: self._cancelled.is_set() or gives_way())
            else:
                self._make_next(self._coming, lambda: self._cancelled.is_set() or gives_way())
        except Cancelled:
            if not gives_way():
                self._cancelled.set()
        except EngineError as error:
            self._engine_failed(error)
        except IShowError as error:
            self.failure = error
        except Exception as error:
            log.exception("a text could not be rendered")
            self.failure = SynthesisError(
                f"the text cannot be spoken ({type(error).__name__}); the daemon's log says more"
            )
        self._on_change()

    def _plan(self, cancelled: IsCancelled) -> None:
        line, default_voice = self.request.line, self._resources.default_voice()
        if self._spoken_text is None:
            voiced = replace(line, voice=default_voice) if line.voice is None else line
            self._spoken_text = self._resources.policy.spoken_text(DequeuedLine(0, voiced, 0.0, 0, None, 1, 1))
        coming = self._line_synthesis.plan(line, self._spoken_text, 0, default_voice, cancelled=cancelled)
        if not coming:
            raise SynthesisError("the text has nothing to speak in it")
        self._coming = coming

    def _make_next(self, coming: Sequence[PlannedSegment], cancelled: IsCancelled) -> None:
        run = self._line_synthesis.synthesize_next(coming, 0.0, cancelled)
        (utterance,) = run.utterances
        rest = list(run.coming[1:])
        seam_s = self._line_synthesis.seam_s(utterance.engine)
        self.made.append(MadeSegment(run.coming[0].segment, utterance, seam_s, not rest))
        self._coming, self._sound_was_made, self.waits_for = rest, True, None

    def _engine_failed(self, error: EngineError) -> None:
        """Wait for an engine while nothing is heard yet, as a line does; try once more what may have ended a worker.

        A segment is not tried again: its requester has other appliances, and a deadline.
        """
        may_wait = isinstance(error, EngineUnavailable) and self._line_synthesis.engines.engine_error is None
        may_repeat = not isinstance(error, VoiceError) and not self._was_tried_again
        if self._sound_was_made or self.request.is_segment or not (may_wait or may_repeat):
            self.failure = error
            return
        self._was_tried_again |= not may_wait
        self.waits_for = error
        self._line_synthesis = self._resources.synthesizer.begin_render()
        self._coming = None
        self.retry_at_s = time.monotonic() + self._backoff.next_s()
