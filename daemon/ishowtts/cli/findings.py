"""What `doctor` and `check` found about one part, and how they print it."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ishowtts.cli.tables import terminal_width
from ishowtts.util.logs import visible

FindingVerdict = Literal["ok", "note", "fault"]
_COLOURS = {"ok": "32", "note": "33", "fault": "31"}
_PART_WIDTH, _VERDICT_WIDTH = 18, 5
_LEAST_TEXT_WIDTH = 20


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
    """Yield the lines of one finding. `width` is that of the terminal; `None`: one line, which is not wrapped."""
    verdict = finding.verdict.ljust(_VERDICT_WIDTH)
    if colour:
        verdict = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m"
    head = f"{visible(finding.part).ljust(_PART_WIDTH)}  {verdict}  "
    detail, fix = visible(finding.detail), f"fix: {visible(finding.fix)}" if finding.fix else None
    if width is None:
        yield head + (f"{detail}; {fix}" if fix else detail)
        return
    margin = " " * (_PART_WIDTH + _VERDICT_WIDTH + 4)
    room = max(_LEAST_TEXT_WIDTH, width - len(margin))
    lines = textwrap.wrap(detail, room) or [""]
    if fix is not None:
        lines += textwrap.wrap(fix, room, subsequent_indent="     ", break_on_hyphens=False)
    yield head + lines[0]
    yield from (margin + line for line in lines[1:])
