"""`ishowtts history`: shows the last lines and their outcomes, one row a line."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ishowtts.cli.common import Commands, compact_json, number, print_json, read_config, spoken_by, why
from ishowtts.cli.tables import print_table, print_text, table_lines, terminal_width
from ishowtts.errors import InboxError
from ishowtts.model import Outcome, timestamp
from ishowtts.util.logs import visible
from ishowtts.util.user_rights import as_owner_of

if TYPE_CHECKING:
    from ishowtts.inbox import HistoryEntry, HistoryFilter

_OPEN = ("waiting", "speaking")
_STATES = (*(outcome.value for outcome in Outcome), *_OPEN)
_TITLES = ("time", "outcome", "reason", "author", "text")
ALL_TITLES = (
    *("time", "heard", "outcome", "reason", "priority", "voice", "engine", "audio s", "RTF", "first sound s", "author"),
    *("id", "why", "sent as", "text"),
)
_RIGHT = ("time", "heard", "audio s", "RTF", "first sound s")
_OPTIONAL = ("reason", "author")
# The reason of an outcome that has no word of its own in its event.
_REASONS = {"expired": "too_old", "evicted": "queue_full", "merged": "repeated", "failed": "error"}
_AGE = re.compile(r"([0-9]{1,6})([smhdw])")
_AGES = re.compile(rf"(?:{_AGE.pattern}){{1,5}}")
_AGE_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = {"today": 0, "yesterday": 1}
_POLL_S = 0.5
_USUAL_LINES = 20
_MOST_AT_ONCE = 10_000
_MOST_FAILURES = 20  # in a row: 10 s


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("history", parents=[common])
    parser.add_argument(
        "-n",
        "--lines",
        type=_lines,
        metavar="N",
        help=f"how many (default: {_USUAL_LINES}; with --since all, at most {_MOST_AT_ONCE})",
    )
    parser.add_argument("--heard", action="store_true", help="only lines of which something was heard")
    parser.add_argument(
        "--outcome",
        type=_states,
        metavar="NAME",
        help=f"only lines with this outcome, or several, with commas: {', '.join(_STATES)}",
    )
    parser.add_argument(
        "--author", metavar="NAME", help="only lines of this author; the name as it is written or as it is spoken"
    )
    parser.add_argument(
        "--since",
        type=since,
        metavar="TIME",
        help="only lines that arrived since: 15m, 1h30m, 2d, 07:30, today, 2026-01-31",
    )
    parser.add_argument("--follow", action="store_true", help="go on, and print each line when it has ended")
    parser.add_argument("-v", "--verbose", action="store_true", help="all columns; in a terminal, below each row")
    parser.add_argument("--json", action="store_true", help="as JSON; with --follow one object on each line")
    parser.set_defaults(command=run)


def _lines(written: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", written) or int(written) == 0:
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 1 to 999999999")
    return int(written)


def _states(written: str) -> frozenset[str]:
    names = frozenset(name.strip().lower() for name in written.split(","))
    if unknown := sorted(names - set(_STATES)):
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not an outcome; there are: {', '.join(_STATES)}")
    return names


def since(written: str, now: datetime | None = None) -> datetime:
    """Parse a time of the past: an age such as `15m`, a time of the last 24 hours, or a date. Raises ArgumentTypeError.

    Args:
        written: A time without a zone is in local time.
        now: For tests.
    """
    now = (now or datetime.now()).astimezone()
    word = written.strip().lower()
    try:
        if _AGES.fullmatch(word):
            return now - timedelta(seconds=sum(int(count) * _AGE_UNITS_S[unit] for count, unit in _AGE.findall(word)))
        if word in _DAYS:
            return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS[word])
        if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", word):
            parts = [int(part) for part in word.split(":")]
            clock = now.replace(hour=parts[0], minute=parts[1], second=parts[2] if len(parts) > 2 else 0, microsecond=0)
            return clock if clock <= now else clock - timedelta(days=1)
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", written.strip()))
        return moment.astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError(
            f"{written!r} is not a time; write 15m, 2h, 3d, 07:30, 2026-01-31 or 2026-01-31T07:30"
        ) from error


def run(arguments: argparse.Namespace) -> int:
    """Print the lines, the newest last, as in a log."""
    from ishowtts.inbox import HistoryFilter, count_history, last_ended_n, read_history

    settings = read_config(arguments)
    path = settings.inbox_file
    wanted = HistoryFilter(
        states=arguments.outcome,
        since_ts=None if arguments.since is None else timestamp(arguments.since.timestamp()),
        heard=arguments.heard,
    )
    if arguments.author is not None:
        wanted = _of_author(wanted, arguments.author, drop_links=settings.policies.links != "keep")
    most = arguments.lines or (_USUAL_LINES if arguments.since is None else _MOST_AT_ONCE)
    with as_owner_of(settings.state_dir):
        last_n = last_ended_n(path) if arguments.follow else 0
        entries = read_history(path, most, wanted)[::-1]
        full = len(entries) == most and arguments.lines is None
        count = count_history(path, wanted) if full else len(entries)
    titles = ALL_TITLES if arguments.verbose else _TITLES
    if arguments.follow:
        # An open line is printed when it has ended, and only then.
        _print_following([entry for entry in entries if entry.outcome], titles, as_json=arguments.json)
        _follow(path, settings.state_dir, wanted, last_n, titles, as_json=arguments.json)
    elif arguments.json:
        print_json([as_json_object(entry) for entry in entries])
    elif entries and arguments.verbose and terminal_width() is not None:
        _print_details(entries)
    elif entries:
        print_table(titles, rows_of(entries, titles), right=_RIGHT, optional=_OPTIONAL)
    else:
        print("no line of the history is like that" if wanted != HistoryFilter() else "no line has been spoken yet")
    if (more := count - len(entries)) > 0 and not arguments.follow:
        sys.stdout.flush()
        print(f"{more} more {'line' if more == 1 else 'lines'}: -n {count}", file=sys.stderr)
    return 0


def _of_author(wanted: HistoryFilter, author: str, *, drop_links: bool) -> HistoryFilter:
    """Want the lines of one author only. Spoken names are remembered, since --follow asks often."""
    # Imported here: the policies load the tables of emoji.
    from ishowtts.policies.authors import author_key, spoken_author

    spoken_name = lru_cache(10_000)(partial(spoken_author, drop_links=drop_links))
    return replace(wanted, author=author, author_key=author_key, spoken_name=spoken_name)


def _follow(
    path: Path, state_dir: Path, wanted: HistoryFilter, last_n: int, titles: Sequence[str], *, as_json: bool
) -> None:
    """Print the lines that end from now on, until the command is interrupted."""
    from ishowtts.inbox import last_ended_n, read_history

    failures = 0
    while True:
        time.sleep(_POLL_S)
        try:
            with as_owner_of(state_dir):
                newest_n = last_ended_n(path)
                last_n = min(last_n, newest_n)  # a fresh file may have taken the place of a damaged one
                new = read_history(path, _MOST_AT_ONCE, replace(wanted, ended_after_n=last_n))[::-1]
        except InboxError:
            failures += 1  # a daemon that starts or ends makes and removes files beside it
            if failures > _MOST_FAILURES:
                raise
            continue
        failures = 0
        _print_following(new, titles, as_json=as_json, titled=False)
        last_n = max([newest_n, *(entry.ended_n or 0 for entry in new)])


def _print_following(
    entries: Sequence[HistoryEntry], titles: Sequence[str], *, as_json: bool, titled: bool = True
) -> None:
    """Print some rows of a table whose next rows are not known: the columns have fixed widths."""
    if as_json:
        for entry in entries:
            print(compact_json(as_json_object(entry)), flush=True)
        return
    widest = {"time": "2026-01-31 07:30:00", "heard": "2026-01-31 07:30:00", "outcome": "cancelled"}
    usual = {
        **widest,
        "reason": "unknown_voice",
        "author": "usual_name",
        "priority": "urgent",
        "engine": "espeak",
        "RTF": "0.000",
        "text": "the columns that fit do not depend on it",
    }
    pattern = [usual.get(title, title) for title in titles]
    lines = table_lines(
        titles, [pattern, *rows_of(entries, titles)], terminal_width(), right=_RIGHT, optional=_OPTIONAL
    )
    for number_of_line, line in enumerate(lines):
        if number_of_line > 1 or (number_of_line == 0 and titled):
            print(line, flush=True)


def _print_details(entries: Sequence[HistoryEntry]) -> None:
    """Print each row, and the other columns below it: a table of all columns would show a bit of each."""
    header, *lines = table_lines(_TITLES, rows_of(entries, _TITLES), terminal_width(), right=_RIGHT, optional=_OPTIONAL)
    print(header)
    others = [title for title in ALL_TITLES if title not in header.split()]  # a narrow terminal has fewer columns
    for line, row in zip(lines, rows_of(entries, others), strict=True):
        print(line)
        for title, cell in zip(others, row, strict=True):
            if cell:
                print_text(f"    {title}: {cell}", indent=" " * 6)


def rows_of(entries: Sequence[HistoryEntry], titles: Sequence[str]) -> list[list[str]]:
    """The cells of each entry, for these columns."""
    today = datetime.now().astimezone().date().isoformat()
    rows = []
    for entry in entries:
        cells = _cells(entry, today)
        rows.append([cells[title] for title in titles])
    return rows


def _cells(entry: HistoryEntry, today: str) -> dict[str, str]:
    data = entry.data if isinstance(entry.data, dict) else {}
    sent = entry.text if entry.sent_text is None else entry.sent_text
    text = _text_in(sent) if entry.outcome is Outcome.REJECTED else entry.text
    return {
        "time": _local_time(entry.ts, today),
        "heard": _local_time(entry.heard_at or "", today),
        "outcome": _state(entry),
        "reason": reason_of(entry),
        "priority": entry.priority.name.lower(),
        "voice": _voice(entry, data) or "",
        "engine": spoken_by(data),
        "audio s": number(data.get("audio_s"), 2),
        "RTF": number(data.get("rtf"), 3),
        "first sound s": number(data.get("ttfa_s"), 2),
        "author": entry.author or "",
        "id": entry.id,
        "why": why(data) or str(data.get("note") or ""),
        "sent as": sent if sent != text else "",
        "text": text,
    }


def _text_in(payload: str) -> str:
    """The text of a payload that was a line object; else the payload itself."""
    try:
        text = json.loads(payload).get("text")
    except (ValueError, AttributeError, RecursionError):
        return payload
    return text if isinstance(text, str) and text else payload


def _state(entry: HistoryEntry) -> str:
    return entry.outcome.value if entry.outcome else _OPEN[entry.speaking]


def reason_of(entry: HistoryEntry) -> str:
    """Why a line has its outcome, in one word of the contract; empty if it was simply spoken."""
    data = entry.data if isinstance(entry.data, dict) else {}
    if entry.outcome is Outcome.FINISHED:
        silent, instead_of = data.get("silent"), data.get("substituted_for")
        return silent if isinstance(silent, str) else "fallback" if instead_of else ""
    for name in ("reason", "by"):
        if isinstance(word := data.get(name), str):
            return word
    return _REASONS.get(_state(entry), "")


def _local_time(ts: str, today: str) -> str:
    """A time of the contract in local time: `HH:MM:SS`, with the date if it is not today. Damage is shown as it is."""
    try:
        local = datetime.fromisoformat(ts.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return visible(ts[:19])
    clock = f"{local:%H:%M:%S}"
    return clock if local.date().isoformat() == today else f"{local.date().isoformat()} {clock}"


def _voice(entry: HistoryEntry, data: dict[str, Any]) -> str | None:
    """The voice that spoke, else the one that was asked for."""
    voice = data.get("voice")
    return voice if isinstance(voice, str) else entry.voice


def as_json_object(entry: HistoryEntry) -> dict[str, Any]:
    """An entry for programs. Names that a recording has too mean the same there. All times are UTC, ISO 8601."""
    data = entry.data if isinstance(entry.data, dict) else {}
    return {
        "id": entry.id,
        "ts": entry.ts,
        "heard_at": entry.heard_at,
        "ended_at": _utc(entry.ended_wall_s),
        "outcome": None if entry.outcome is None else entry.outcome.value,
        "reason": reason_of(entry) or None,
        "priority": entry.priority.name.lower(),
        "author": entry.author,
        "voice": _voice(entry, data),
        "sent": entry.text if entry.sent_text is None else entry.sent_text,
        "text": entry.text,
        "read": entry.read_text or (entry.text if entry.heard_at else None),
        "data": entry.data,
    }


def _utc(wall_s: float | None) -> str | None:
    try:
        return None if wall_s is None else timestamp(wall_s)
    except (ValueError, OverflowError, OSError):
        return None
