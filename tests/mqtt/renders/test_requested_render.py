"""Only a complete reply is a sound: whatever else comes ends the request, and the first end counts."""

from __future__ import annotations

import pytest

from ishowtts.engines.remote.board_link import FailureKind, RenderedSound, RenderFailure
from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderQueued, RenderSound
from ishowtts.mqtt.renders.requested_render import RequestedRender

HEAD = RenderHead(SoundFormat.PCM, 24_000, "f5", "anna")
ONE, TWO = RenderSound(0, b"\1\0"), RenderSound(1, b"\2\0")
BROKEN = "its reply has a gap, or breaks the protocol"


def end(parts: int) -> RenderEnd:
    return RenderEnd(0.1, 0.1, 0.1, 1.0, 0.0, "f5", ("f5",), "anna", False, parts)


def take(*parts: RenderPart | None) -> tuple[RequestedRender, list[str]]:
    """A render that gets these parts, and the boards that were told to stop."""
    withdrawn: list[str] = []
    render = RequestedRender("kitchen", lambda one: withdrawn.append(one.board), lambda _: None)
    for part in parts:
        render.take(part)
    return render, withdrawn


def test_a_complete_reply_is_a_sound() -> None:
    render, withdrawn = take(RenderQueued(3), None, HEAD, HEAD, ONE, ONE, TWO, ONE)  # at QoS 1 a message may come twice
    assert render.wait(0.0) is None
    assert render.take(end(2))
    found = render.wait(0.0)
    assert isinstance(found, RenderedSound)
    assert (found.samples.tolist(), found.rate_hz, found.voice, found.engine) == ([1, 2], 24_000, "anna", "f5")
    render.cancel()
    render.take(RenderError("failed", "late"))
    assert render.wait(0.0) is found
    assert not withdrawn, "nothing is cancelled that is done"


@pytest.mark.parametrize(
    "parts",
    [
        (end(0),),
        (HEAD, end(0)),
        (ONE,),
        (HEAD, TWO),
        (HEAD, ONE, end(2)),
        (HEAD, ONE, TWO, end(1)),
        (HEAD, RenderSound(0, b"\1"), end(1)),
        (RenderHead(SoundFormat.WAV, 24_000, "f5", "anna"),),
    ],
)
def test_any_other_reply_ends_the_render_at_its_board(parts: tuple[RenderPart, ...]) -> None:
    render, withdrawn = take(*parts)
    assert render.wait(0.0) == RenderFailure(FailureKind.REFUSED, BROKEN)
    assert withdrawn == ["kitchen"]


def test_a_cancelled_render_takes_no_sound_any_more() -> None:
    render, withdrawn = take(HEAD, ONE)
    render.cancel()
    render.cancel()
    render.take(TWO)
    render.take(end(2))
    assert render.wait(0.0) == RenderFailure(FailureKind.BUSY, "it was cancelled")
    assert withdrawn == ["kitchen"]
