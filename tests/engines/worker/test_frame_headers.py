"""Voice info and stats from the wire are checked, as every number from the worker is."""

from __future__ import annotations

from typing import Any

import pytest

from ishowtts.engines import EngineStats, VoiceInfo
from ishowtts.engines.worker.frame_headers import read_engine_stats, read_voice_info, write_voice_info
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


@pytest.mark.parametrize("info", [FULL, VoiceInfo("en-us", 400), VoiceInfo("heart", 400, reference_s=0.0)])
def test_voice_info_survives_the_wire(info: VoiceInfo) -> None:
    assert read_voice_info(over_the_wire(write_voice_info(info))) == info


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("voice", 3),
        ("max_segment_bytes", 0),
        ("max_segment_bytes", 10**9),
        ("max_segment_bytes", 14.5),
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
def test_an_implausible_field_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(WireError, match=key):
        read_voice_info(over_the_wire(write_voice_info(FULL) | {key: value}))


def test_an_infinite_number_is_refused() -> None:
    header = write_voice_info(FULL) | {"cost": 0}
    raw = encode(Frame(FrameKind.READY, header)).replace(b'"cost":0', b'"cost":1e999')
    decoder = FrameDecoder()
    decoder.feed(bytes([*raw[:3], raw[3] + 4, *raw[4:8], raw[8] + 4, *raw[9:]]))
    frame = decoder.next()
    assert frame is not None
    with pytest.raises(WireError, match="cost"):
        read_voice_info(frame)


@pytest.mark.parametrize("stats", [EngineStats(), EngineStats(900.5, 3), EngineStats(900.5, 3, 120.25)])
def test_engine_stats_survive_the_wire(stats: EngineStats) -> None:
    header = {"gpu_mb": stats.gpu_mb, "unbucketed": stats.unbucketed, "graphs_mb": stats.graphs_mb}
    assert read_engine_stats(over_the_wire(header)) == stats


def test_impossible_engine_stats_are_refused_with_their_values() -> None:
    with pytest.raises(WireError, match=r"impossible statistics \(gpu_mb -1.0, unbucketed 3, graphs_mb None\)"):
        read_engine_stats(over_the_wire({"gpu_mb": -1.0, "unbucketed": 3}))
