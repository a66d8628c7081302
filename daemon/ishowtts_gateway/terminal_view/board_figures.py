"""The figures of one board with their recent values: RTF, clock, temperature, load, power, queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ishowtts_gateway.appliances.published_value import number
from ishowtts_gateway.appliances.telemetry_series import COLUMNS
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.sparkline import Values, by_time

_LEAST_STEP_S = 5.0
_TEMPERATURES_C = (20.0, 100.0)
_PERCENT = (0.0, 100.0)


@dataclass(frozen=True)
class BoardFigure:
    """One figure: its value now, and its recent values, drawn between `low` and `high`.

    Attributes:
        label: What it is.
        value: With its unit; empty if it is unknown.
        series: Oldest first, one value for each character.
        style: Of the value, by its alert.
    """

    label: str
    value: str
    series: Values
    low: float
    high: float
    style: str = ""


def board_figures(board: BoardView, count: int) -> list[BoardFigure]:
    """The figures in the order of their importance.

    Args:
        count: How many characters there are for the recent values of each.
    """
    record, now_s = board.record, board.now_s
    telemetry = record.telemetry or {}
    gpu, cpu, speech = (_part(telemetry, name) for name in ("gpu", "cpu", "speech"))
    step_s = max(_LEAST_STEP_S, number((record.info or {}).get("telemetry_s")) or 0.0)
    points = record.series.points(step_s * (count + 1))

    def series(column: str) -> Values:
        position = COLUMNS.index(column)
        times = ((point[0] or 0.0, point[position]) for point in points)
        return by_time(times, now_s, step_s, count)

    rtfs = [line.rtf for line in board.ended if line.rtf is not None and not line.cached][:count][::-1]
    clock_max_mhz = gpu.get("clock_max_mhz")
    power, queue = series("power_w"), series("queue_depth")
    power_w, depth = _part(telemetry, "board").get("power_w"), board.queue_depth
    rtf = rtfs[-1] if rtfs else speech.get("rtf")
    raised = board.active_alerts.keys()
    hot = "bad" if "hot" in raised else ""
    clock = "warn" if raised & {"clocks_unlocked", "throttled"} else ""
    return [
        BoardFigure(
            "RTF",
            _joined(_figure(rtf, "{:.2f}"), _figure(speech.get("rtf_p50"), "median {:.2f}")),
            [*[None] * (count - len(rtfs)), *rtfs],
            0.0,
            max([1.0, *rtfs]),
            "bad" if rtf is not None and rtf > 1 else "warn" if "slow" in raised else "",
        ),
        BoardFigure(
            "clock",
            _clock(gpu.get("clock_mhz"), clock_max_mhz),
            series("gpu_mhz"),
            0.0,
            clock_max_mhz or max([1.0, *_known(series("gpu_mhz"))]),
            clock,
        ),
        BoardFigure(
            "temp",
            _joined(_figure(gpu.get("temp_c"), "{:.0f} °C"), _figure(cpu.get("temp_c"), "CPU {:.0f} °C")),
            series("gpu_c" if gpu.get("temp_c") is not None else "cpu_c"),
            *_TEMPERATURES_C,
            hot,
        ),
        BoardFigure("load", _figure(gpu.get("load_pct"), "GPU {:.0f} %"), series("gpu_load_pct"), *_PERCENT),
        BoardFigure(
            "power", _figure(power_w, "{:.1f} W"), power, 0.0, 1.25 * max([1.0, power_w or 0.0, *_known(power)])
        ),
        BoardFigure("queue", _figure(depth, "{} waiting"), queue, 0.0, max([5.0, *_known(queue)])),
        BoardFigure("load", _figure(cpu.get("load_pct"), "CPU {:.0f} %"), series("cpu_load_pct"), *_PERCENT),
    ]


def _part(telemetry: Mapping[str, Any], name: str) -> Mapping[str, float | None]:
    """The numbers of one part of the telemetry."""
    part = telemetry.get(name)
    return {key: number(value) for key, value in part.items()} if isinstance(part, dict) else {}


def _known(values: Values) -> list[float]:
    return [value for value in values if value is not None]


def _clock(clock_mhz: float | None, max_mhz: float | None) -> str:
    of = "" if max_mhz is None else f" of {max_mhz:.0f}"
    return "" if clock_mhz is None else f"{clock_mhz:.0f}{of} MHz"


def _figure(value: float | None, layout: str) -> str:
    return "" if value is None else layout.format(value)


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
