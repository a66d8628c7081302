"""What one render makes of the replies of an appliance, in any order."""

from __future__ import annotations

import pytest

from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderError, RenderHead, RenderPart, RenderQueued, RenderSound
from ishowtts_gateway.renders.render_attempt import RenderAttempt, SoundBudget

HEAD = RenderHead(SoundFormat.PCM, 24_000, "f5", "anna")


def sound(seq: int) -> RenderSound:
    return RenderSound(seq, bytes([seq]) * 10)


def end(parts: int) -> RenderEnd:
    return RenderEnd(1.0, 0.1, 0.1, 0.1, 0.0, "f5", ("f5",), "anna", cached=False, parts=parts)


def attempt(*parts: RenderPart | None, max_bytes: int = 1000) -> RenderAttempt:
    made = RenderAttempt("kitchen", "ishowtts/kitchen", "r/1", SoundFormat.PCM, SoundBudget(max_bytes))
    for part in parts:
        made.receive(part)
    return made


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([HEAD, sound(0), sound(2)], "a part of the sound is missing"),
        ([HEAD, sound(1)], "a part of the sound is missing"),
        ([sound(0)], "a part of the sound is missing"),
        ([HEAD, sound(0), end(2)], "a part of the sound is missing"),
        ([end(0)], "a part of the sound is missing"),
        ([RenderHead(SoundFormat.MP3, 24_000, "f5", "anna")], "the appliance sends mp3, not pcm"),
        ([RenderQueued(3), RenderError("busy", "later"), HEAD, sound(0)], "later"),
    ],
)
def test_sound_with_a_gap_ends_at_once(parts: list[RenderPart], says: str) -> None:
    found = attempt(*parts)
    assert says in str(found.error)
    assert found.end is None


def test_what_comes_twice_or_after_the_end_is_ignored() -> None:
    found = attempt(None, RenderQueued(0), HEAD, HEAD, sound(0), sound(0), sound(1), sound(0), end(2), sound(2), end(3))
    assert found.error is None
    assert found.end == end(2)
    assert [found.take(), found.take(), found.take()] == [b"\0" * 10, b"\1" * 10, None]
    assert found.settled


def test_sound_that_came_before_an_error_can_be_read_unless_nobody_reads() -> None:
    broken = attempt(HEAD, sound(0), RenderError("failed", "no"))
    assert broken.take() == b"\0" * 10
    unread = attempt(HEAD, sound(0), sound(1), max_bytes=15)
    assert unread.take() is None
    assert "not read fast enough" in str(unread.error)
    assert not unread.settled
