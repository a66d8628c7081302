"""A card that came over the wire is checked like every number from the worker."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts.engines import VoiceInfo
from ishowtts.engines.worker import card_header
from ishowtts.engines.worker.wire import Frame, FrameDecoder, FrameKind, WireError, encode

FULL = VoiceInfo(
    "anna", 140, reference_s=8.25, bytes_per_s=14.5, seam_s=0.15, cost=0.06, speed=0.9, nfe_step=16, batch_s=60.0
)


def over_the_wire(header: dict[str, Any]) -> Frame:
    decoder = FrameDecoder()
    decoder.feed(encode(Frame(FrameKind.READY, header)))
    frame = decoder.next()
    assert frame is not None
    return frame


@pytest.mark.parametrize("card", [FULL, VoiceInfo("en-us", 400)])
def test_a_card_crosses_the_wire(card: VoiceInfo) -> None:
    assert card_header.of(over_the_wire(card_header.to_header(card))) == card


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("voice", 3),
        ("max_segment_bytes", 0),
        ("max_segment_bytes", 10**9),
        ("max_segment_bytes", 14.5),
        ("reference_s", 0),
        ("reference_s", -8.0),
        ("reference_s", 10**400),
        ("reference_s", "8"),
        ("bytes_per_s", 0.0),
        ("bytes_per_s", 1e300),
        ("seam_s", None),
        ("seam_s", -0.15),
        ("seam_s", 60),
        ("cost", True),
        ("cost", -1),
        ("speed", None),
        ("speed", 0),
        ("nfe_step", 0),
        ("nfe_step", 10**6),
        ("batch_s", None),
        ("batch_s", -1),
        ("batch_s", 10**6),
    ],
)
def test_a_field_that_is_not_plausible_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(WireError, match=r"seam" if key == "seam_s" else key if "max" not in key else r"segment"):
        card_header.of(over_the_wire(card_header.to_header(FULL) | {key: value}))


def test_a_number_beyond_all_bounds_is_none() -> None:
    header = card_header.to_header(FULL) | {"cost": 0}
    raw = encode(Frame(FrameKind.READY, header)).replace(b'"cost":0', b'"cost":1e999')
    decoder = FrameDecoder()
    decoder.feed(bytes([*raw[:3], raw[3] + 4, *raw[4:8], raw[8] + 4, *raw[9:]]))
    frame = decoder.next()
    assert frame is not None
    with pytest.raises(WireError, match="cost"):
        card_header.of(frame)
