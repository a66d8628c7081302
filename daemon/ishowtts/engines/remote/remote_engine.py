"""Speaks through other appliances, the boards. A segment goes to one board; if that fails, to another one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ishowtts.engines import VoiceInfo
from ishowtts.engines.candidates import EngineCandidate
from ishowtts.engines.durations import longest_plausible_s
from ishowtts.engines.remote.board_link import (
    BoardLink,
    BoardRender,
    FailureKind,
    ReadyBoard,
    RenderedSound,
    RenderFailure,
)
from ishowtts.engines.remote.board_trust import BoardCounts, BoardTrust
from ishowtts.engines.voices.voice_library import DEFAULT
from ishowtts.errors import Cancelled, EngineUnavailable, SynthesisError, VoiceError
from ishowtts.model import IsCancelled, Segment, Utterance
from ishowtts.util.crossfade import FADE_S
from ishowtts.util.known_names import closest, listed
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit

log = logging.getLogger(__name__)

REMOTE = "remote"
_ESPEAK = "espeak"
_CANCEL_POLL_S = 0.02
_MOST_LATE = 3
"""After so many boards were late for one segment, the next engine of the order speaks: the listener waits meanwhile."""
_MOST_COMPARED = 3
"""Of so many boards the one with the fewest renders before ours is taken, by what they answer. Telemetry is up to 5 s
old, so that many stages choose the same board."""
_ANSWER_S = 0.2  # a board answers a request within some milliseconds
_SILENT_S = 0.6
"""A board that has not said by then that it has the request is late: another one can still be asked before a listener
has waited for `engine.late_s`."""
_SEGMENT_BYTES = 220
"""About 15 s of speech. The voice of a board may take less; then the board splits it once more."""
_BYTES_PER_S = 15.0
_F5_REFERENCE_S = 5.0  # a usual clip: F5 pays for it with every segment
_MAX_LOGGED = 5  # in 10 s


class RemoteEngine:
    """The engine `remote`. It keeps the part of the contract of `Engine` that synthesis needs.

    Args:
        segment_s: A board that has not sent the sound of a segment after this time, in seconds, is late.
        default_voice: Voice of a line that names none; `default` is that of each board.
    """

    name = REMOTE

    def __init__(self, segment_s: float, default_voice: str, now_s: Callable[[], float] = time.monotonic) -> None:
        self._segment_s = segment_s
        self._silent_s = min(_SILENT_S, segment_s)
        self._default_voice = None if default_voice == DEFAULT else default_voice
        self._now_s = now_s
        self._link: BoardLink | None = None
        self._trust = BoardTrust(now_s)
        self._last: tuple[str, str] | None = None  # the last line, and the board that spoke it
        self._cancelled_board: tuple[str, bool] | None = None  # whose render was cancelled last; whether it was busy
        self._logged = RateLimit(_MAX_LOGGED)

    def attach(self, link: BoardLink) -> None:
        """Sets the connection to the boards. Before that, no board can render."""
        self._link = link

    @property
    def longest_wait_s(self) -> float:
        """How long one call of `synthesize` may take, in seconds."""
        return _MOST_LATE * self._segment_s

    def candidate(self) -> EngineCandidate:
        """Returns this engine as one of the order.

        Its speech is not cached here: what a board makes of a text changes with its voices, and it has a cache.
        """
        return EngineCandidate(
            self,
            REMOTE,
            languages=self.languages,
            problem=self.problem,
            clones=True,
            mixes_now=self.mixes_languages,
            comes_and_goes=True,
            slow_prepare=self.prepare,
            given_up=self._given_up,
        )

    def problem(self) -> str | None:
        """Returns why no board can be asked now; `None` if one can."""
        if self._link is None:
            return "the connection to the boards is not built yet"
        if self._link.starting():
            return None  # `prepare` waits for the boards
        if (problem := self._link.problem()) is not None:
            return problem
        boards = self._link.any_ready()
        if not boards or any(self._trust.trusts(board.name) for board in boards):
            return None
        names = listed([board.name for board in boards])
        return f"no board renders: {names} did not answer in time and will be asked again soon; look at their logs"

    def lasting_problem(self) -> str | None:
        """Returns `problem()`, but nothing within the first seconds of a connection, when no board is known yet."""
        return self.problem() if self._link is not None and self._link.settled() else None

    def languages(self) -> frozenset[str] | None:
        """Returns the base languages that the boards speak; `None`: every language, or unknown."""
        return None if self._link is None else self._link.languages()

    def voices(self) -> dict[str, str | None] | None:
        """Returns the voices of the boards, with their languages; `None` while they are unknown."""
        return None if self._link is None or not self._link.voices_known() else self._link.voices()

    def mixes_languages(self) -> bool:
        """Returns whether every board that is ready speaks several languages in one segment, as F5 does."""
        boards = () if self._link is None else self._link.any_ready()
        return bool(boards) and all(board.engine == "f5" for board in boards)

    def ready_names(self) -> frozenset[str]:
        """Returns the names of the boards that would be asked now."""
        boards = () if self._link is None or self._link.problem() is not None else self._link.any_ready()
        return frozenset(board.name for board in boards if self._trust.trusts(board.name))

    def counts(self) -> dict[str, BoardCounts]:
        """Returns what each board has done for this appliance, by name."""
        return self._trust.counts()

    def prepare(self, voice: str | None, cancelled: IsCancelled = lambda: False) -> VoiceInfo:
        """Returns what is known of a voice. Waits some seconds for the boards if this process has just started.

        Without that, lines that waited over a restart would be spoken by the next engine.

        Raises:
            VoiceError: No board has it.
            EngineUnavailable: No board that has it can render now.
            Cancelled: `cancelled()` turned true while it waited.
        """
        self._cancelled_board = None
        while self._link is not None and self._link.starting():
            if cancelled():
                raise Cancelled
            time.sleep(_CANCEL_POLL_S)
        wanted = voice or self._default_voice
        boards = self._boards(wanted, None)
        if not boards:
            raise self._no_board(wanted, None)
        best = boards[0]
        is_f5 = best.engine == "f5"
        return VoiceInfo(
            wanted or DEFAULT,
            _SEGMENT_BYTES,
            reference_s=_F5_REFERENCE_S if is_f5 else 0.0,
            bytes_per_s=_BYTES_PER_S,
            seam_s=FADE_S if is_f5 else 0.0,
            cost=best.rtf,
        )

    def synthesize(self, segment: Segment, cancelled: IsCancelled) -> Utterance:
        """Has one segment rendered. Each board is asked once at most, and a late sound is never used.

        Raises:
            SynthesisError: The boards cannot speak this text.
            VoiceError: No board has the voice.
            EngineUnavailable: No board renders now.
            Cancelled: `cancelled()` turned true.
        """
        segment = replace(segment, voice=segment.voice or self._default_voice)
        failures: dict[str, RenderFailure] = {}
        late = 0
        while late < _MOST_LATE:
            boards = [one for one in self._boards(segment.voice, segment.language) if one.name not in failures]
            if not boards:
                break
            board = self._choose(boards, segment.line_id)
            # A line that has begun stays at its board, whose clip of the voice may be another one.
            begun = self._last == (segment.line_id, board.name)
            others = [] if begun else [one for one in boards if one is not board][: _MOST_COMPARED - 1]
            board, found = self._render(board, others, segment, cancelled)
            if isinstance(found, Utterance):
                self._last = (segment.line_id, board.name)
                return found
            late += found in (_LATE, _SILENT)
            failures[board.name] = self._note_failure(board.name, found)
        if not failures:
            raise self._no_board(segment.voice, segment.language)
        raise _failed(failures)

    def synthesize_batch(self, segments: Sequence[Segment], cancelled: IsCancelled) -> list[Utterance]:
        """Has several segments rendered, one after another."""
        return [self.synthesize(segment, cancelled) for segment in segments]

    def _boards(self, voice: str | None, language: str | None) -> list[ReadyBoard]:
        """Returns the boards that may be asked, best first."""
        boards = () if self._link is None else self._link.ready_boards(voice, language)
        return [board for board in boards if self._trust.trusts(board.name)]

    def _choose(self, boards: Sequence[ReadyBoard], line_id: str) -> ReadyBoard:
        """Returns the board of this line again, else the best. Two boards may have different clips for one voice."""
        same = (board for board in boards if self._last == (line_id, board.name))
        return next(same, boards[0])

    def _render(
        self, board: ReadyBoard, others: list[ReadyBoard], segment: Segment, cancelled: IsCancelled
    ) -> tuple[ReadyBoard, Utterance | RenderFailure]:
        """Asks one board, and waits for its answer until the deadline. Returns the board that it is from.

        Args:
            others: boards that are asked, one at a time, if renders wait there before ours.
        """
        link = self._link
        self._cancelled_board = None
        if link is None or cancelled():
            raise Cancelled
        began_s = self._now_s()
        render = link.render(board.name, segment, self._segment_s)
        found: RenderedSound | RenderFailure | None = None
        try:
            while found is None:
                allowed_s = self._silent_s if render.waiting is None else self._segment_s
                if (left_s := began_s + allowed_s - self._now_s()) <= 0:
                    break
                if cancelled():
                    self._cancelled_board = board.name, bool(render.waiting)
                    raise Cancelled
                found = render.wait(min(left_s, _CANCEL_POLL_S))
                if found is None and others and render.waiting:
                    board, render = self._with_fewer_waiting(link, (board, render), others.pop(0), segment)
        finally:
            if found is None:
                render.cancel()
        if found is None and render.waiting is None:
            found = _SILENT
        return board, self._checked(board, segment, found, self._now_s() - began_s)

    def _with_fewer_waiting(
        self, link: BoardLink, asked: tuple[ReadyBoard, BoardRender], other: ReadyBoard, segment: Segment
    ) -> tuple[ReadyBoard, BoardRender]:
        """Asks another board too, and cancels the render with more renders before it."""
        second = link.render(other.name, segment, self._segment_s)
        ends_s = self._now_s() + _ANSWER_S
        while second.waiting is None and second.wait(_CANCEL_POLL_S) is None and self._now_s() < ends_s:
            pass
        is_better = second.waiting is not None and second.waiting < (asked[1].waiting or 0)
        (asked[1] if is_better else second).cancel()
        return (other, second) if is_better else asked

    def _checked(
        self, board: ReadyBoard, segment: Segment, found: RenderedSound | RenderFailure | None, synth_s: float
    ) -> Utterance | RenderFailure:
        """Returns the sound of a board if it can be used."""
        if found is None:
            return _LATE
        if isinstance(found, RenderFailure):
            return found
        if found.engine == _ESPEAK != board.engine:
            return RenderFailure(FailureKind.BUSY, "only its espeak-ng has spoken, which sounds the same here")
        synth_s = 0.0 if found.cached else synth_s
        utterance = Utterance(found.samples, found.rate_hz, synth_s, REMOTE, found.voice, cached=found.cached)
        if not 0 < utterance.audio_s <= longest_plausible_s(segment.text, segment.speed):
            return RenderFailure(FailureKind.REFUSED, f"its sound has {utterance.audio_s:.1f} s, which cannot be right")
        self._trust.rendered(board.name)
        return utterance

    def _note_failure(self, board: str, failure: RenderFailure) -> RenderFailure:
        """Counts a failure, and returns it with the sentence for the operator."""
        if failure in (_LATE, _SILENT, _GIVEN_UP):
            if failure is _LATE:
                failure = replace(failure, detail=f"it has not sent the sound within {self._segment_s:g} s")
            elif failure is _SILENT:
                failure = replace(failure, detail=f"it has not answered within {self._silent_s:g} s")
            self._trust.failed(board, late=True)
        else:
            at_fault = failure.kind in (FailureKind.GONE, FailureKind.REFUSED)
            self._trust.failed(board, leave_out=at_fault)
        if self._logged.allows():
            if failure.board_detail is None:
                log.warning("the board %s did not render a segment: %s", board, failure.detail)
            else:
                said = Untrusted(failure.board_detail)
                log.warning("the board %s did not render a segment: %s (%r)", board, failure.detail, said)
        return failure

    def _given_up(self) -> None:
        """Leaves out the board that was too late for a listener, unless it was busy: the next lines go to others."""
        if self._cancelled_board is not None:
            board, busy = self._cancelled_board
            self._note_failure(board, _TOO_BUSY if busy else _GIVEN_UP)

    def _no_board(self, voice: str | None, language: str | None) -> VoiceError | EngineUnavailable:
        """Returns why no board can be asked for this voice and language."""
        if (problem := self.problem()) is not None or self._link is None:
            return EngineUnavailable(problem or "there are no boards")
        voices = self.voices()
        if voice is not None and voices is not None and voice not in voices:
            meant = closest(voice, voices, cutoff=0.7)
            hint = f"did you mean {meant!r}?" if meant else f"they have {listed(voices) or 'none'}"
            return VoiceError(f"no board has the voice {voice!r}; {hint}")
        what = " and ".join(
            part for part in (voice and f"the voice {voice!r}", language and f"the language {language!r}") if part
        )
        return EngineUnavailable(f"no board with {what or 'a voice'} is ready")


_LATE = RenderFailure(FailureKind.GONE, "late")
_SILENT = RenderFailure(FailureKind.GONE, "silent")
_TOO_BUSY = RenderFailure(FailureKind.BUSY, "it has other renders, and a listener waited")
_GIVEN_UP = RenderFailure(FailureKind.GONE, "it took much longer than usual while a listener waited")


def _failed(failures: dict[str, RenderFailure]) -> SynthesisError | VoiceError | EngineUnavailable:
    """Returns the error for a segment that no board has rendered."""
    told = "; ".join(f"{board}: {failure.detail}" for board, failure in failures.items())
    kinds = {failure.kind for failure in failures.values()}
    if kinds == {FailureKind.VOICE}:
        return VoiceError(told)
    if kinds <= {FailureKind.TEXT, FailureKind.VOICE}:
        return SynthesisError(told)
    return EngineUnavailable(told)
