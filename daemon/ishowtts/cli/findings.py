"""What `doctor` and `check` found about one part, and how they print it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ishowtts.cli.tables import terminal_width
from ishowtts.util.logs import visible
from ishowtts.util.terminal_text import wrapped

FindingVerdict = Literal["ok", "note", "fault"]
_COLOURS = {"ok": "32", "note": "33", "fault": "31"}
_PART_WIDTH, _VERDICT_WIDTH = 18, 5
_LEAST_TEXT_WIDTH = 30
_NARROW_INDENT = 2


@dataclass(frozen=True)
class Finding:
    """Result for one part; `fix` says what to do about it. Every fault has a fix."""

    part: str
    verdict: FindingVerdict
    detail: str
    fix: str | None = None


def fault(part: str, problem: Exception | str, fix: str | None = None) -> Finding:
    """Make a fault of an error, whose sentence is "problem; fix". `fix` takes the place of the fix in the sentence."""
    detail, _, own_fix = str(problem).rpartition("; ")
    if not detail:
        detail, own_fix = own_fix, ""
    return Finding(part, "fault", detail, fix or own_fix or "sudo journalctl -u ishowtts -n 50 may say more")


def as_part(part: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings under another name of the part."""
    for finding in findings:
        yield replace(finding, part=part)


def print_finding(finding: Finding) -> None:
    """Print one finding at once: wrapped in columns in a terminal, as one plain line in a pipe."""
    width = terminal_width()
    colour = width is not None and not os.environ.get("NO_COLOR")
    for line in finding_lines(finding, width, colour=colour):
        print(line)
    sys.stdout.flush()


def finding_lines(finding: Finding, width: int | None, *, colour: bool) -> Iterator[str]:
    """Yield the lines of one finding. In a narrow terminal the texts stand below the part and not beside it.

    Args:
        width: Width of the terminal; `None`: one line, which is not wrapped.
        colour: Colour the verdict.
    """
    verdict = finding.verdict.ljust(_VERDICT_WIDTH)
    if colour:
        verdict = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m"
    head = f"{visible(finding.part).ljust(_PART_WIDTH)}  {verdict}  "
    detail, fix = visible(finding.detail), f"fix: {visible(finding.fix)}" if finding.fix else None
    if width is None:
        yield head + (f"{detail}; {fix}" if fix else detail)
        return
    indent = _PART_WIDTH + _VERDICT_WIDTH + 4
    narrow = width - indent < _LEAST_TEXT_WIDTH
    if narrow:
        indent = _NARROW_INDENT
    lines = [*wrapped(detail, width - indent)]
    if fix is not None:
        lines += wrapped(fix, width - indent, indent=" " * len("fix: "))
    margin = " " * indent
    if narrow:
        yield head.rstrip()
        yield margin + lines[0]
    else:
        yield head + lines[0]
    yield from (margin + line for line in lines[1:])
