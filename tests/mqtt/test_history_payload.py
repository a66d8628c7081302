"""The reply to a request for the history: its lines, its size, its cursor, and what it withholds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ishowtts.inbox import HistoryEntry
from ishowtts.model import Outcome, Priority
from ishowtts.mqtt.history_payload import HistoryRequest, history_payload, refused_payload
from support import payload_check

ROOM = 200_000
TOPIC = "ishowtts/reply/anna/1"
TS = "2026-11-30T08:00:00.000Z"


def entry(number: int, **changes: Any) -> HistoryEntry:
    """The line of a number; by default one that was spoken."""
    values = {
        "id": f"line-{number}",
        "text": f"Text {number}.",
        "ts": TS,
        "outcome": Outcome.FINISHED,
        "data": {"engine": "f5", "voice": "anna", "rtf": 0.5, "audible": True, "cached": False, "note": None},
        "priority": Priority.NORMAL,
        "voice": None,
        "author": "Bob",
        "heard_at": TS,
        "ended_wall_s": 1796025600.5,
        "seq": number,
    }
    return HistoryEntry(**(values | changes))


def reply(entries: list[HistoryEntry], limit: int = 50, *, private: bool = False, room: int = ROOM) -> dict[str, Any]:
    """The reply, which its schema must allow."""
    payload = history_payload(entries, HistoryRequest(limit, None, "t"), private=private, max_bytes=room)
    assert payload_check.fault(TOPIC, payload) is None
    found: dict[str, Any] = json.loads(payload)
    return found


def line(**changes: Any) -> dict[str, Any]:
    """What the reply has of one line."""
    [found] = reply([entry(1, **changes)])["lines"]
    return dict(found)


def test_a_reply_has_the_lines_that_were_asked_for_and_the_cursor_of_the_next_ones() -> None:
    found = reply([entry(9), entry(7), entry(4)], limit=2)
    assert [line["id"] for line in found["lines"]] == ["line-9", "line-7"]
    assert (found["command"], found["transaction"], found["next"], found["private"]) == ("history", "t", "7", False)
    assert reply([entry(9), entry(7)], limit=2)["next"] is None
    assert reply([]) == {"command": "history", "transaction": "t", "lines": [], "next": None, "private": False}


def test_a_line_has_what_its_events_told() -> None:
    assert line() == {
        "id": "line-1",
        "status": "finished",
        "accepted_ts": TS,
        "started_ts": TS,
        "ended_ts": "2026-11-30T08:00:00.500Z",
        "text": "Text 1.",
        "author": "Bob",
        "priority": "normal",
        "engine": "f5",
        "voice": "anna",
        "rtf": 0.5,
        "audible": True,
        "cached": False,
    }


def test_an_open_line_tells_how_far_it_is() -> None:
    open_line = {"outcome": None, "data": {}, "ended_wall_s": None}
    assert line(**open_line, heard_at=None, voice="carl")["status"] == "waiting"
    assert line(**open_line, heard_at=None, voice="carl")["voice"] == "carl"
    assert line(**open_line)["status"] == "interrupted"
    assert line(**open_line, speaking=True)["status"] == "speaking"
    assert "ended_ts" not in line(**open_line)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"by": "skip"}, "skip"),
        ({"error": "no engine", "note": "muted"}, "no engine"),
        ({"note": "muted"}, "muted"),
        ({"detail": "x" * 3000}, "x" * 1000 + "…"),
        ({"detail": None, "by": "stop"}, "stop"),
        ({"detail": 7}, None),
    ],
)
def test_the_detail_is_what_the_final_event_says_in_words(data: dict[str, Any], detail: str | None) -> None:
    assert line(data=data).get("detail") == detail


def test_the_text_is_that_which_was_sent() -> None:
    assert line(sent_text="3 kg!!!")["text"] == "3 kg!!!"
    assert line(text="ä" * 5000)["text"] == "ä" * 1000 + "…"
    rejected = {"outcome": Outcome.REJECTED, "data": {"reason": "bad_field", "detail": "speed"}, "heard_at": None}
    found = line(**rejected, text='{"text": "Hello.", "speed": 9}')
    assert (found["text"], found["reason"], found["detail"]) == ("Hello.", "bad_field", "speed")
    assert "accepted_ts" not in found
    for payload in ('{"text": "Hel', '{"text": 5}', "{}", "[1]", "{" * 900, ""):
        assert line(**rejected, text=payload)["text"] == payload


def test_a_private_reply_has_no_words_of_publishers() -> None:
    rejected = {"reason": "unknown_voice", "detail": "there is no voice 'zebulon'"}
    lines = [
        entry(3, text="zebulon", author="zebulon", data={"by": "skip"}, outcome=Outcome.CANCELLED),
        entry(2, text="zebulon", sent_text="zebulon", author="zebulon", data=rejected, outcome=Outcome.REJECTED),
        entry(1, text="zebulon", author=None, data={"error": "cannot say zebulon"}, outcome=Outcome.FAILED),
    ]
    found = reply(lines, private=True)
    assert found["private"] is True
    assert "zebulon" not in json.dumps(found)
    assert [line.get("reason") for line in found["lines"]] == [None, "unknown_voice", None]
    assert found["lines"][0]["detail"] == "skip"


def test_a_reply_is_never_larger_than_its_room_and_goes_on_where_it_ended() -> None:
    entries = [entry(number, text="😀" * 1000, author="😀" * 128) for number in range(101, 0, -1)]
    payload = history_payload(entries, HistoryRequest(100), private=False, max_bytes=ROOM)
    assert ROOM - 5000 < len(payload) <= ROOM
    found = json.loads(payload)
    assert found["next"] == str(102 - len(found["lines"]))
    small = reply(entries, limit=100, room=1000)
    assert len(small["lines"]) == 1, "one line always has room: else a requester would ask for ever"
    assert small["next"] == "101"


def test_a_damaged_row_is_shown_as_far_as_it_can_be_read() -> None:
    damaged = {"rtf": "fast", "ttfa_s": float("inf"), "queue_s": True, "audible": 1, "engine": [], "voice": {}, "by": 5}
    found = line(data=damaged, ended_wall_s=1e300, id="x" * 500)
    assert set(found) == {"id", "status", "accepted_ts", "started_ts", "text", "author", "priority"}
    assert len(found["id"]) == 128


def test_a_refusal_says_why() -> None:
    payload = refused_payload(HistoryRequest(transaction="t"), "send fewer")
    assert payload_check.fault(TOPIC, payload) is None
    assert json.loads(payload) == {"command": "history", "ok": False, "detail": "send fewer", "transaction": "t"}
