"""What the engine `remote` needs of the connection to the boards. `mqtt/renders/render_requester` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ishowtts.model import Samples, Segment


class FailureKind(Enum):
    """Why a board did not render a segment."""

    BUSY = "busy"
    """It has no room, or it stops. It is not at fault."""
    DISCONNECTED = "disconnected"
    """Our own connection to the broker ended. No board is at fault."""
    GONE = "gone"
    """It is offline, or nothing takes its requests."""
    REFUSED = "refused"
    """It does not accept the request, or its sound cannot be used."""
    TEXT = "text"
    """Its engines cannot speak this text."""
    VOICE = "voice"
    """It does not have the voice."""


@dataclass(frozen=True)
class RenderFailure:
    """Why a board did not render a segment.

    Attributes:
        detail: the sentence for the operator.
        board_detail: what the board itself says; it may quote the text.
    """

    kind: FailureKind
    detail: str
    board_detail: str | None = None


@dataclass(frozen=True)
class RenderedSound:
    """The sound of a segment, as a board sent it.

    Attributes:
        engine: engine of the board that made it, as in `f5`.
        cached: whether it came from the cache of the board.
    """

    samples: Samples
    rate_hz: int
    voice: str
    engine: str
    cached: bool = False


@dataclass(frozen=True)
class ReadyBoard:
    """A board that can render now.

    Attributes:
        engine: kind of the first of its engines that can speak now, as in `f5`; `None` if unknown.
        rtf: synthesis seconds per audio second of its last lines; `None` if unknown.
    """

    name: str
    engine: str | None = None
    rtf: float | None = None


class BoardRender(Protocol):
    """One segment that a board renders."""

    @property
    def waiting(self) -> int | None:
        """How many renders were before it when the board took it; `None` until the board has said so."""

    def wait(self, timeout_s: float) -> RenderedSound | RenderFailure | None:
        """Waits for the result; `None` if there is none after this time."""

    def cancel(self) -> None:
        """Tells the board that nobody wants the sound any more. What it still sends is dropped. Idempotent."""


class BoardLink(Protocol):
    """The boards, and the way to them. Any thread may call any method; only `BoardRender.wait` waits."""

    def ready_boards(self, voice: str | None, language: str | None) -> Sequence[ReadyBoard]:
        """Returns the boards that can render in this voice and language now (`None`: any), best first."""

    def any_ready(self) -> Sequence[ReadyBoard]:
        """Returns the boards that can render in any voice and language now, in no order. It costs nothing."""

    def problem(self) -> str | None:
        """Returns why no board can render at all now; `None` if one can. It costs nothing."""

    def languages(self) -> frozenset[str] | None:
        """Returns the base languages that known boards speak, online or not; `None`: every language, or unknown."""

    def voices(self) -> dict[str, str | None]:
        """Returns the voices of known boards, online or not, with the language of each, if it is known."""

    def voices_known(self) -> bool:
        """Returns whether the broker has sent what the boards published: before that, any voice may exist."""

    def starting(self) -> bool:
        """Returns whether this process has just started, and the boards have not had the time to report."""

    def settled(self) -> bool:
        """Returns whether the connection has been as it is for some seconds, so that the boards had time to report."""

    def render(self, board: str, segment: Segment, timeout_s: float) -> BoardRender:
        """Asks a board for a segment.

        Args:
            timeout_s: After this time nobody waits for it any more.
        """
