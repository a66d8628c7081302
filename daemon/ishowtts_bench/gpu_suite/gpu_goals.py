"""The goals of the CUDA path: which figure should reach what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ishowtts_bench.gpu_suite.step_report import Figures

_LARGEST_OVER_ARITHMETIC = 2.5
_LONGEST_NEW_LENGTH_MS = 5.0


@dataclass(frozen=True)
class Goal:
    """A figure and the value it should reach.

    Args:
        wanted: the value in words; empty: the figure is only shown.
        read: raises KeyError, TypeError or StopIteration if the figure was not measured.
    """

    name: str
    wanted: str
    read: Callable[[Figures], float]
    reached: Callable[[float], bool]
    form: str = "{:.2f}"
    note: Callable[[Figures], str] = lambda _: ""


def goal_lines(figures: Figures, *, comparable: bool) -> Iterator[str]:
    """Yield a line for each goal. It says not measured if the figure is missing.

    Args:
        comparable: whether the goals apply: they are those of the base model on a GPU.
    """
    if not comparable:
        yield "the goals hold for the base model on a GPU, without --quick: the figures below are not judged"
    for goal in GOALS:
        try:
            found = goal.read(figures)
            shown, note = goal.form.format(found), goal.note(figures)
            verdict = ("reached" if goal.reached(found) else "not reached") if comparable and goal.wanted else ""
        except (KeyError, StopIteration, TypeError, ValueError, ZeroDivisionError, AttributeError):
            shown, note, verdict = "", "", "not measured"
        yield f"{goal.name:38} {goal.wanted:14} {shown:>10} {note:15} {verdict}".rstrip()


def _best_batch(figures: Figures) -> dict[str, Any]:
    """The smallest batch that reaches half of the product rate, or else the best one."""
    found: Sequence[dict[str, Any]] = figures["batches"]["batches"]
    enough = [one for one in found if one["share"] >= 0.5]
    return enough[0] if enough else max(found, key=lambda one: one["share"])


def _warm_s(figures: Figures) -> float:
    starts = figures["starts"]["starts"]
    return float(max(start["warm_s"] for start in starts if start["system"] == "ours" and start["compiled"]))


def _failed_rows(step: str) -> Callable[[Figures], float]:
    return lambda figures: float(sum(not row["passed"] for row in figures[step]["rows"]))


def _failed_tests(figures: Figures) -> float:
    """The number of failed tests. If the time was too short for all tests, none failed says nothing."""
    found = figures["gpu-tests"]
    if not found["failed"] and found["run"] + found["skipped"] < found["collected"]:
        raise ValueError("not all tests ran")
    return float(found["failed"])


def _over_arithmetic(figures: Figures) -> float:
    """How many times the minimum time of its arithmetic our engine takes, unless that was measured wrong."""
    speed = figures["speed"]
    if speed.get("measure_fault"):
        raise ValueError(speed["measure_fault"])
    return float(1 / speed["fraction_of_floor"])


def _number(step: str, key: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[step][key])


GOALS = (
    Goal("failed tests of the kernels", "0", _failed_tests, lambda found: found == 0, "{:.0f}",
         lambda all_: f"of {all_['gpu-tests']['run']}"),
    Goal("failed rows of parity, tiny", "0", _failed_rows("parity-tiny"), lambda found: found == 0, "{:.0f}"),
    Goal("failed rows of parity, base", "0", _failed_rows("parity"), lambda found: found == 0, "{:.0f}"),
    Goal("RTF of our engine", "", _number("speed", "rtf"), lambda _: True, "{:.4f}"),
    Goal("RTF over the arithmetic alone", "2.5 or less", _over_arithmetic,
         lambda found: found <= _LARGEST_OVER_ARITHMETIC),
    Goal("upstream at equal NFE over ours", "2 or more", _number("speed", "ratio_equal_nfe"),
         lambda found: found >= 2),
    Goal("torch.compile of upstream over ours", "1.5 or more", _number("compiled", "ratio_compiled"),
         lambda found: found >= 1.5),
    Goal("upstream at its default over ours", "12 or more", _number("speed", "ratio_default"),
         lambda found: found >= 12),
    Goal("share of the product rate", "0.5 or more", lambda all_: _best_batch(all_)["share"],
         lambda found: found >= 0.5, note=lambda all_: f"with {_best_batch(all_)['segments']} in a run"),
    Goal("a new length costs", "under 5 ms", _number("speed", "new_length_ms"),
         lambda found: found < _LONGEST_NEW_LENGTH_MS, "{:.1f} ms"),
    Goal("loaded and warm, compiled before", "under 20 s", _warm_s, lambda found: found < 20, "{:.1f} s"),
    Goal("the allocator's peak", "under 1000 MB", _number("speed", "peak_mb"), lambda found: found < 1000, "{:.0f} MB"),
    Goal("graphs and code outside the allocator", "", _number("speed", "outside_mb"), lambda _: True, "{:.0f} MB"),
)  # fmt: skip
