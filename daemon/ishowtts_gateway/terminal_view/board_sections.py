"""The parts of a frame that show one board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from ishowtts.limits import SENT_CHARS
from ishowtts.util.terminal_text import cut, padded
from ishowtts_gateway.appliances.line_log import epoch_s
from ishowtts_gateway.appliances.line_record import LineRecord
from ishowtts_gateway.terminal_view.board_figures import BoardFigure, board_figures
from ishowtts_gateway.terminal_view.board_view import BoardView
from ishowtts_gateway.terminal_view.progress_estimate import SpokenNow
from ishowtts_gateway.terminal_view.sparkline import progress_bar, sparkline
from ishowtts_gateway.terminal_view.styled_line import (
    StyledLine,
    paragraph,
    screen_text,
    styled,
    with_right,
)

_LABEL_WIDTH = 6
_INDENT = " " * _LABEL_WIDTH
_VALUE_WIDTH = 18
_FIGURE_GAP = 2
_BAR_WIDTH = (8, 40)
_PRIVATE = "(text withheld: log.private)"
_STATE_STYLES = {"ready": "good", "speaking": "good", "degraded": "bad", "paused": "warn"}
_OUTCOME_STYLES = {"finished": "good", "failed": "bad", "rejected": "warn", "expired": "warn", "evicted": "warn"}
_OUTCOME_WIDTH = 9
_REASON_CHARS = 32
_DETAILS_WIDTH = 79  # a terminal of 80 columns also shows RTF, time to first sound and engine of each line


def header(board: BoardView | None, connected: bool, width: int | None) -> StyledLine:
    """Name, state and volume, and the time at the right."""
    if board is None:
        return styled((" ishowtts ", "chosen"), "" if connected else ("  no broker", "bad"))
    record = board.record
    state = board.state
    pieces: list[tuple[str, str]] = [(f" {record.name} ", "chosen"), ("  ", "")]
    right: list[tuple[str, str]] = [(_clock(board.now_s), "dim")]
    if not connected:
        pieces.append(("no broker", "bad"))
    elif record.online:
        pieces += [("online, ", ""), (state or "its state is unknown", _STATE_STYLES.get(state, ""))]
        right = [*([(f"volume {board.volume} %", "")] if board.volume is not None else []), *right]
        if board.muted:
            pieces.append((", muted", "warn"))
        elif (record.state or {}).get("audible") is False:
            pieces.append((", not audible", "warn"))
        if board.paused and state != "paused":
            pieces.append((", paused", "warn"))
    else:
        pieces.append((record.availability or "unknown", "bad"))
    return with_right(tuple(pieces), right, width)


def problems(board: BoardView) -> list[tuple[str, str]]:
    """The sentences that need attention, each with its style: why it is not online, alerts, the detail of its state."""
    record = board.record
    if record.availability is None:
        return [(
            f"nothing is known of {record.root}: no board of this name has run yet, or this user of the broker may not "
            "read its topics; see gateway.devices and --device",
            "warn",
        )]  # fmt: skip
    if not record.online:
        return [(f"{record.name} is offline; on the board: sudo systemctl start ishowtts", "bad")]
    alerts = board.active_alerts
    told = list(alerts.values())
    detail = screen_text((record.state or {}).get("detail"))
    rest = "; ".join(part for part in detail.split("; ") if part and not any(part in each for each in told))
    return [*((f"{name}: {sentence}", "bad") for name, sentence in alerts.items()), *([(rest, "warn")] if rest else [])]


def now_rows(board: BoardView, width: int | None, text_rows: int) -> Iterator[StyledLine]:
    """Yield the rows of the current line: its text, and its progress."""
    spoken = board.spoken
    label = (f"{'now':<{_LABEL_WIDTH}}", "bold")
    if spoken is None:
        rows = [styled(label, ("paused; lines wait" if board.paused else "nothing", "dim"))]
    else:
        room = None if width is None else max(1, width - _LABEL_WIDTH)
        text = paragraph(_said(spoken.author, spoken.text, room and 2 * room * text_rows), "", room, text_rows)
        rows = [styled(label if i == 0 else _INDENT, *row) for i, row in enumerate(text)]
        rows.append(_progress(spoken, width))
    yield from rows


def next_rows(board: BoardView, width: int | None, rows: int) -> Iterator[StyledLine]:
    """Yield at most `rows` rows of the queue: the first lines that wait, and how many more there are."""
    depth = board.queue_depth
    known = len(board.waiting) if depth is None else depth
    lines = board.waiting[: min(known, rows)]
    label = (f"{'next':<{_LABEL_WIDTH}}", "bold")
    if not known:
        yield styled(label, ("nothing waits", "dim"))
    elif not lines:
        yield styled(label, _count(known))
    elif rows == 1:
        yield styled(label, f"{_count(known)}: ", _said(lines[0].author, lines[0].text, width and 2 * width))
    else:
        lines = lines[: rows - 1] if known > len(lines) else lines
        for i, line in enumerate(lines):
            yield styled(
                label if i == 0 else _INDENT, *_priority(line), _said(line.author, line.text, width and 2 * width)
            )
        if known > len(lines):
            yield styled((f"{_INDENT}and {known - len(lines)} more", "dim"))


def figure_rows(board: BoardView, width: int, columns: int) -> Iterator[StyledLine]:
    """Yield the figures with their sparklines, in one column or two."""
    each = (width - _FIGURE_GAP * (columns - 1)) // columns
    value_width = min(_VALUE_WIDTH, max(1, each - _LABEL_WIDTH - 4))
    count = max(0, each - _LABEL_WIDTH - value_width - 1)
    rows = [_figure_row(figure, value_width) for figure in board_figures(board, count)]
    half = (len(rows) + 1) // 2 if columns == 2 else len(rows)
    for i, row in enumerate(rows[:half]):
        right = rows[half + i] if half + i < len(rows) else ()
        yield (*row, (" " * _FIGURE_GAP, ""), *right) if right else row


def last_rows(board: BoardView, width: int | None, rows: int) -> Iterator[StyledLine]:
    """Yield the rows of the last lines, newest first. Only a wide terminal has room for their figures."""
    detailed = width is None or width >= _DETAILS_WIDTH
    if not board.ended or rows < 1:
        return
    if rows >= 4:
        figures = f"{'RTF':>5}  {'first':>6}  {'engine':<6}  " if detailed else ""
        yield styled((f"{'last':<8}  {'outcome':<{_OUTCOME_WIDTH}}  {figures}text", "dim"))
        rows -= 1
    today = datetime.fromtimestamp(board.now_s).date()
    for line in board.ended[:rows]:
        reason = "" if line.status == "finished" else screen_text(line.reason or line.detail, _REASON_CHARS)
        yield styled(
            (f"{_when(line.ended_ts, today):<8}  ", "dim"),
            (f"{line.status:<{_OUTCOME_WIDTH}}  ", _OUTCOME_STYLES.get(line.status, "")),
            (_line_figures(line) if detailed else "", ""),
            (f"{reason}: " if reason else "not heard: " if line.audible is False else "", "warn"),
            _said(line.author, line.text, width and 2 * width),
        )


def _said(author: str | None, text: str | None, most_chars: int | None) -> str:
    """A text with its author. Of a long text only so much is examined as there is room for."""
    by = f"{screen_text(author, 40)}: " if author else ""
    return f"{by}{_PRIVATE if text is None else screen_text(text, most_chars or SENT_CHARS + 1)}"


def _count(waiting: int) -> str:
    return f"{waiting} {'waits' if waiting == 1 else 'wait'}"


def _priority(line: LineRecord) -> Sequence[tuple[str, str]]:
    shown = line.priority in ("urgent", "high", "low")
    return [(f"{line.priority} ", "bad" if line.priority == "urgent" else "warn")] if shown else []


def _progress(spoken: SpokenNow, width: int | None) -> StyledLine:
    """A bar with the time, the segment and who speaks."""
    facts = []
    if spoken.played_s is not None:
        of = "" if spoken.total_s is None else f" of {spoken.total_s:.0f}"
        facts.append(f"{spoken.played_s:.0f}{of} s")
    if spoken.segment and spoken.segments and spoken.segments > 1:
        facts.append(f"segment {spoken.segment} of {spoken.segments}")
    facts += [screen_text(each, 40) for each in (spoken.engine, spoken.voice) if each]
    if not spoken.total_s:
        return styled(_INDENT, (", ".join(facts), "dim"))
    share = (spoken.played_s or 0.0) / spoken.total_s
    bar_width = _BAR_WIDTH[1] if width is None else max(_BAR_WIDTH[0], min(_BAR_WIDTH[1], width // 3))
    done, rest = progress_bar(share, bar_width)
    return styled(_INDENT, (done, "data"), (rest, "dim"), f"  {', '.join(facts)}")


def _figure_row(figure: BoardFigure, value_width: int) -> StyledLine:
    value = padded(cut(figure.value, value_width), value_width) if figure.value else f"{'–':<{value_width}}"
    label = f"{figure.label:<{_LABEL_WIDTH}}"
    return styled(
        (label, "bold"), (value, figure.style), " ", (sparkline(figure.series, figure.low, figure.high), "data")
    )


def _line_figures(line: LineRecord) -> str:
    rtf = "cache" if line.cached else "" if line.rtf is None else f"{min(line.rtf, 99.0):.2f}"
    first = "" if line.ttfa_s is None else f"{min(line.ttfa_s, 999.0):.2f} s"
    return f"{rtf:>5}  {first:>6}  {padded(cut(screen_text(line.engine, 20), 6), 6)}  "


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s):%H:%M:%S}"


def _when(ts: str | None, today: date) -> str:
    """The time of an event of today, the date of an earlier one; empty if it is unknown, or of no year that we know."""
    at_s = epoch_s(ts)
    try:
        at = None if at_s is None else datetime.fromtimestamp(at_s)
    except (ValueError, OverflowError, OSError):  # the local time of a first or last day may be beyond the calendar
        return ""
    return "" if at is None else f"{at:%H:%M:%S}" if at.date() == today else f"{at:%d %b}"
