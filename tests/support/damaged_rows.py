"""A queue file with damaged values, and what must still hold with it."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from ishowtts.cli import history
from ishowtts.cli.tables import table_lines
from ishowtts.inbox import Inbox, InboxLimits, read_history, wait_for
from ishowtts.model import Arrival, Delivery, Event, Line, Outcome, Priority, Reason, Rejection, ReplyTo, Report
from ishowtts.mqtt import strict_json
from ishowtts.speech import Intake, Outbox
from ishowtts.speech.line_notes import LineNotes
from ishowtts.speech.line_stats import event_data
from support.waiting import eventually

TABLES = ("lines", "outbox", "deliveries", "settings", "sqlite_sequence")
_FINISHED = {**event_data(Report(0.0, 0.1, 1.0, 0.1, "espeak", "")), **LineNotes().event_data(80)}
BAD_VALUES: tuple[object, ...] = (
    None,
    "8p",
    "",
    b"\xff\xfe\x00",
    2**63 - 1,
    -(2**63),
    0,
    1e300,
    float("inf"),
    "[1, 2]",
    '{"rtf": 1e999, "speed": "fast"}',
    "[" * 100_000,
    "9" * 5000,
    "\u2028\x00\x1b[2J",
)
WAITING = tuple(f"wait-{n}" for n in range(1, 21))
FIRST_WAITING = 3  # its place among the lines
BROKEN_TEXT = "CAST(x'c3ff28' AS TEXT)"  # not UTF-8
_KEY = {"lines": "seq", "outbox": "number", "deliveries": "packet_id", "settings": "key", "sqlite_sequence": "name"}
_VERSION = slice(60, 64)  # where SQLite keeps `user_version`
_LIMITS = InboxLimits(max_lines=100, max_age_s=86_400)  # the file is as old as the run of the tests


def columns(table: str) -> list[str]:
    """The names of a table's columns."""
    with closing(sqlite3.connect(_template())) as db:
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def make_file(folder: Path) -> Path:
    """A file with lines in every state, events, deliveries and settings."""
    return Path(shutil.copy(_template(), folder / "inbox.sqlite"))


def rows_of(path: Path, table: str) -> int:
    """How many rows a table has."""
    with closing(sqlite3.connect(path)) as db:
        count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def put(path: Path, table: str, column: str, values: Mapping[int, object]) -> list[int]:
    """Store values where they must not be: also where the table forbids it.

    Args:
        values: by the places of their rows in the table; past its end the places begin again.

    Returns:
        The places of the rows that SQLite let have their value: keys of rows are whole numbers, and no two are equal.
    """
    with closing(sqlite3.connect(path)) as db:
        schema = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        with db:
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name NOT LIKE 'sqlite_%'")
    done = []
    with closing(sqlite3.connect(path)) as db, db:
        db.text_factory = bytes  # what was put in before need not be UTF-8
        keys = [key for (key,) in db.execute(f"SELECT {_KEY[table]} FROM {table} ORDER BY 1")]
        for row, value in values.items():
            place = row % len(keys)
            given = BROKEN_TEXT if value == BROKEN_TEXT else "?1"
            update = f"UPDATE {table} SET {column} = {given} WHERE CAST({_KEY[table]} AS BLOB) IS CAST(?2 AS BLOB)"
            with suppress(sqlite3.IntegrityError, sqlite3.DataError):
                changed = db.execute(update, (None if given == BROKEN_TEXT else value, keys[place])).rowcount
                done += [place] * changed
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        for name, sql in schema:
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
    return done


def check(path: Path, waiting: Sequence[str] = ()) -> None:
    """Open the file with the real parts, and have all of them do their work.

    Args:
        waiting: ids of lines that must be given.
    """
    inbox = Inbox(path, _LIMITS)
    heard: list[Event] = []

    def send(numbered: Sequence[tuple[int, Event]], _timeout_s: float) -> int:
        for _, event in numbered:
            strict_json.dumps({"id": event.id, "event": event.event, **event.data})
            heard.append(event)
        return len(numbered)

    acknowledged: list[str] = []
    intake, outbox = Intake(inbox, lambda line: line), Outbox(inbox, send, lambda _: None)
    intake.start()
    outbox.start()
    try:
        # The ids of lines that are stored, and one that is not.
        again = Delivery(1, b"digest", again=True)
        for line in (Line("new", "hello"), Line("ended", "text of ended"), Line("wait-1", "text of wait-1")):
            intake.offer(Arrival(line, again if line.id == "ended" else None), lambda: acknowledged.append("ack"))
        eventually(lambda: len(acknowledged) == 3, "the acknowledgements")
        given = _speak_all(inbox)
        assert "new" in given
        assert not set(waiting) - set(given), f"{set(waiting) - set(given)} were never given"
        wait_for(inbox.cancel_waiting("stop"))
        wait_for(inbox.replay("replayed"))
        _speak_all(inbox)
        inbox.expire()
        inbox.prune()
        outbox.wake()
        eventually(lambda: not wait_for(inbox.unsent(1)), "the end of the outbox")
        assert ("new", "finished") in {(event.id, event.event) for event in heard}
        for key in ("volume", "muted", "paused", "instances"):
            inbox.recall(key)
        assert inbox.alive()
        assert intake.alive()
        assert outbox.alive()
        assert inbox.depth() == 0
        _print_history(path)
    finally:
        intake.close(20)
        outbox.close(20)
        inbox.close()
    _print_history(path)


def check_hostile_rows(seed: int) -> None:
    """Change some values, or some bytes, of a file at random, and check it. Raises AssertionError."""
    random_ = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="hostile-rows-") as folder:
        path = make_file(Path(folder))
        touched = _change_bytes(path, random_) if random_.random() < 0.4 else _change_values(path, random_)
        check(path, [] if touched is None else [name for name in WAITING if name not in touched])


def _change_values(path: Path, random_: random.Random) -> set[str]:
    """Put bad values in; gives the ids of lines that may suffer by it."""
    touched: set[str] = set()
    for _ in range(random_.randint(1, 4)):
        table = random_.choice(TABLES)
        value = random_.choice((*BAD_VALUES, BROKEN_TEXT, random_.randbytes(random_.randint(0, 40)), random_.random()))
        row = random_.randint(0, 50)
        if table == "lines":
            ids = _ids(path)
            touched.add(ids[row % len(ids)])
        put(path, table, random_.choice(columns(table)), {row: value})
    return touched


def _change_bytes(path: Path, random_: random.Random) -> None:
    """Change bytes anywhere: then nobody knows which lines suffer."""
    raw = bytearray(path.read_bytes())
    for _ in range(random_.randint(1, 20)):
        start = random_.randrange(len(raw))
        length = random_.choice((1, 1, 1, 4, 100))
        raw[start : start + length] = random_.randbytes(len(raw[start : start + length]))
    raw[_VERSION] = path.read_bytes()[_VERSION]  # a file that says that a later version wrote it is refused
    path.write_bytes(raw)


def _ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        return [_text(line_id) for (line_id,) in db.execute("SELECT id FROM lines ORDER BY seq")]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _speak_all(inbox: Inbox) -> list[str]:
    given: list[str] = []
    while True:
        order = inbox.take()
        wait_for(inbox.unsent(0))  # behind the first try of the order
        order.withdraw()
        taken = wait_for(order.future)
        if taken is None:
            return given
        assert len(given) < 100, "the same lines are given again and again"
        given.append(taken.line.id)
        wait_for(inbox.started(taken.seq, {"muted": False}))
        wait_for(inbox.reached(taken.seq, taken.spoken or taken.line.text, taken.position))
        wait_for(inbox.finish(taken.seq, Outcome.FINISHED, _FINISHED))


def _print_history(path: Path) -> None:
    entries = read_history(path, 1000)
    json.dumps([history.as_json_object(entry) for entry in entries])
    rows = history.rows_of(entries, history.ALL_TITLES)
    assert len(list(table_lines(history.ALL_TITLES, rows, 80))) == (len(entries) + 1 if entries else 0)


@cache
def _template() -> Path:
    """Made once for each process of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "inbox.sqlite"
    inbox = Inbox(path, _LIMITS)
    reply_to = ReplyTo("ishowtts/reply/somebody", b"correlation")
    wait_for(inbox.begin_session("session", True))
    wait_for(inbox.accept([Arrival(Line("ended", "text of ended"), Delivery(1, b"digest", again=False))]))
    _speak_all(inbox)
    wait_for(inbox.accept([Arrival(Rejection("refused", Reason.EMPTY, "the text is empty", reply_to))]))
    wait_for(inbox.accept([Arrival(Line("spoken", "text of spoken", priority=Priority.HIGH, reply_to=reply_to))]))
    waiting = [
        Line(name, f"text of {name}", voice="anna", speed=1.5, author="bob", reply_to=reply_to) for name in WAITING
    ]
    wait_for(inbox.accept([Arrival(line, Delivery(n + 2, b"digest", again=False)) for n, line in enumerate(waiting)]))
    order = inbox.take()
    taken = wait_for(order.future)
    assert taken is not None
    wait_for(inbox.started(taken.seq, {"muted": False}))
    wait_for(inbox.reached(taken.seq, "text of spoken", 5))
    wait_for(inbox.peek_for_prefetch().future)
    for key, value in (("volume", "80"), ("muted", "0"), ("paused", "0"), ("instances", "a b c")):
        wait_for(inbox.remember(key, value))
    inbox.close()
    path.with_name("inbox.sqlite.lock").unlink()
    return path
