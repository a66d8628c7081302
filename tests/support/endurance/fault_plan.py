"""How many lines are spoken in a run with all faults, and how often each fault comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from support.endurance.fault_injection import WORKER_FAULTS

MOST_SILENT_S = 2.0


@dataclass(frozen=True)
class Plan:
    """What happens in a run.

    Attributes:
        counts: How often each fault is injected, by its name.
        f5: Folder of the checkpoint with which F5 leads in every third life of the daemon; `None`: hibari leads.
        clock_jumps: Whether the daemon has a wall clock of its own. It costs a second at each start in the test suite.
        most_silent_s: No silence may be longer while a line waits and a device is there.
    """

    lines: int
    counts: dict[str, int]
    f5: Path | None = None
    seed: int = 0
    clock_jumps: bool = True
    most_silent_s: float = MOST_SILENT_S


def long_plan(folder: Path, lines: int, seed: int) -> Plan:
    """The faults of 10,000 lines, or of fewer in proportion, each at least once. Makes the checkpoint in the folder."""
    from ishowtts_bench.random_checkpoint import make_checkpoint

    f5 = folder / "checkpoint"
    make_checkpoint(f5, "tiny", seed=0)
    per_10_000 = {"daemon": 100, "broker": 20, "gateway": 20, "device": 20, "full disk": 5, "clock": 20}
    for kind in ("hibari", "f5"):
        per_10_000 |= {f"{kind} {fault}": 34 for fault in WORKER_FAULTS}
    return Plan(lines, {name: max(1, round(count * lines / 10_000)) for name, count in per_10_000.items()}, f5, seed)
