"""The parts of a reply are parsed as they were built, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_parts import (
    RenderEnd,
    RenderError,
    RenderHead,
    RenderPart,
    RenderQueued,
    RenderSound,
    parse_part,
)

HEAD = RenderHead(SoundFormat.OPUS, 48_000, "f5", "anna")
END = RenderEnd(1.5, 0.25, 0.125, 0.1667, 0.0, "espeak", ("f5", "espeak"), "en-us", cached=False, parts=3)
PARTS = [RenderQueued(3), HEAD, RenderSound(0, b"\0\1"), RenderSound(7, b"x" * RENDER_PART_BYTES), END]
PARTS += [RenderError("busy", "32 renders wait; send it later")]


def parse(part: str, fields: Any, **properties: str) -> RenderPart | None:
    payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return parse_part(payload, [("part", part), *properties.items()])


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.part)
def test_a_part_is_parsed_as_it_was_built(part: RenderPart) -> None:
    number = [("seq", str(part.seq))] if isinstance(part, RenderSound) else []
    assert parse_part(part.payload(), [("part", part.part), *number]) == part
    assert parse_part(part.payload(), [("other", "1"), *number, ("part", part.part), ("part", "error")]) == part
    assert parse_part(part.payload(), number) is None


def test_unknown_values_are_none() -> None:
    found = parse("end", {**json.loads(END.payload()), "ttfa_s": None, "rtf": None})
    assert isinstance(found, RenderEnd)
    assert (found.ttfa_s, found.rtf) == (None, None)


def test_a_detail_is_printable_and_short() -> None:
    found = parse("error", {"reason": "failed", "detail": "a\x1b[31m\n" + "b" * 5000})
    assert isinstance(found, RenderError)
    assert found.detail.startswith("a [31m b")
    assert len(found.detail) == 2001


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("queued", {"waiting": -1}), ("queued", {"waiting": True}), ("queued", {"waiting": 10**7}),
        ("queued", {"waiting": 1.0}), ("queued", {"waiting": None}),
        ("head", {"format": "aac"}), ("head", {"rate_hz": 0}), ("head", {"rate_hz": 10**9}), ("head", {"channels": 2}),
        ("head", {"engine": ""}), ("head", {"engine": "a\nb"}), ("head", {"voice": "a" * 129}), ("head", {"voice": 1}),
        ("end", {"audio_s": -1}), ("end", {"audio_s": 1e10}), ("end", {"synth_s": None}), ("end", {"rtf": "1"}),
        ("end", {"queue_s": True}), ("end", {"engines": ["a"] * 17}), ("end", {"engines": "f5"}),
        ("end", {"engines": [1]}), ("end", {"cached": 1}), ("end", {"parts": -1}), ("end", {"parts": 10**7}),
        ("error", {"reason": "Busy!"}), ("error", {"reason": "a" * 33}), ("error", {"detail": None}),
    ],
)  # fmt: skip
def test_what_no_appliance_sends_is_no_part(part: str, changes: dict[str, Any]) -> None:
    built = next(each for each in PARTS if each.part == part)
    assert parse(part, {**json.loads(built.payload()), **changes}) is None


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"waiting": NaN}', b'{"waiting": 1}' + b" " * 20_000]
)
def test_payloads_that_are_no_object_are_no_part(payload: bytes) -> None:
    assert all(parse(part, payload) is None for part in ("queued", "head", "end", "error", "other", ""))


@pytest.mark.parametrize("seq", ["", "-1", "01", "1.0", "\u0661", "9" * 8, "9" * 9000, "1 "])
def test_sound_has_a_number_and_a_bounded_size(seq: str) -> None:
    assert parse("audio", b"x", seq=seq) is None
    assert parse("audio", b"x") is None
    assert parse("audio", b"", seq="1") is None
    assert parse("audio", b"x" * (RENDER_PART_BYTES + 1), seq="1") is None


@given(st.binary(max_size=60), st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=4))
def test_nothing_raises(payload: bytes, properties: list[tuple[str, str]]) -> None:
    for part in ("queued", "head", "audio", "end", "error"):
        parse_part(payload, [("part", part), *properties])
