"""The tables of texts and how they are read, in `tests/text/readings`."""

from __future__ import annotations

from pathlib import Path

READINGS = Path(__file__).parents[1] / "text/readings"


def table(name: str) -> list[tuple[str, str]]:
    """The pairs of a file with `written => spoken` on each line. A line that begins with `# ` is a comment."""
    lines = (READINGS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(" => ") for line in lines if line and not line.startswith("# ")]
    assert all(len(pair) == 2 for pair in pairs), pairs
    return [(written, spoken) for written, spoken in pairs]
