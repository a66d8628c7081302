"""The order of the parts of a reply is checked once, for all who request renders."""

from __future__ import annotations

import pytest

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderQueued, RenderSound
from ishowtts.mqtt.renders.reply_order import BrokenReply, ReplyOrder

HEAD = RenderHead(SoundFormat.PCM, 24_000, "f5", "anna")
FIRST, SECOND, THIRD = (RenderSound(seq, b"12") for seq in range(3))


def end(parts: int) -> RenderEnd:
    return RenderEnd(1.0, 0.5, 0.1, 0.5, 0.0, "f5", ("f5",), "anna", cached=False, parts=parts)


@pytest.mark.parametrize(
    ("parts", "new"),
    [
        ([RenderQueued(2), HEAD, FIRST, SECOND, end(2)], [True] * 5),
        ([HEAD, HEAD, FIRST, FIRST, SECOND, FIRST, end(2)], [True, False, True, False, True, False, True]),
        ([RenderError("busy", "later")], [True]),
        ([HEAD, FIRST, RenderError("stopping", "later")], [True] * 3),
    ],
)
def test_a_part_that_came_before_is_not_new(parts: list[RenderPart], new: list[bool]) -> None:
    order = ReplyOrder(SoundFormat.PCM, 4)
    assert [order.take(part) for part in parts] == new
    assert (order.parts, order.size_bytes) == (
        sum(isinstance(part, RenderSound) for part in set(parts)),
        2 * order.parts,
    )


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([FIRST], "is missing"),
        ([HEAD, SECOND], "is missing"),
        ([HEAD, FIRST, THIRD], "is missing"),
        ([HEAD, FIRST, end(2)], "is missing"),
        ([HEAD, FIRST, SECOND, end(1)], "is missing"),
        ([end(0)], "is missing"),
        ([RenderHead(SoundFormat.MP3, 24_000, "f5", "anna")], "the appliance sends mp3, not pcm"),
        ([HEAD, FIRST, SECOND, THIRD], "more than 0 MB"),
    ],
)
def test_the_part_that_breaks_the_order_is_told(parts: list[RenderPart], why: str) -> None:
    order = ReplyOrder(SoundFormat.PCM, 4)
    for part in parts[:-1]:
        order.take(part)
    with pytest.raises(BrokenReply, match=why):
        order.take(parts[-1])
