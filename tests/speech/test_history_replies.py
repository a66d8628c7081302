"""Requests for older lines are answered on a thread of their own, at a bounded rate, whatever comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ishowtts.inbox import Inbox, InboxLimits, wait_for
from ishowtts.model import Arrival, Line
from ishowtts.mqtt.history_payload import HistoryRequest
from ishowtts.speech import history_replies
from ishowtts.speech.history_replies import HistoryReplies
from support.waiting import eventually


class FakeReply:
    """Keeps what is sent, and can hold the sender up as a slow broker does."""

    def __init__(self) -> None:
        self.max_bytes = 200_000
        self.sent: list[dict[str, Any]] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def send(self, payload: bytes, timeout_s: float = 0.0) -> bool:
        self.sent.append(json.loads(payload))
        return self.may_go.wait(timeout_s)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.sqlite"


@pytest.fixture
def inbox(path: Path) -> Iterator[Inbox]:
    inbox = Inbox(path, InboxLimits())
    wait_for(inbox.accept([Arrival(Line(f"line-{number}", f"Text {number}.")) for number in range(1, 8)]))
    yield inbox
    inbox.close()


@pytest.fixture
def make_replies(path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., HistoryReplies]]:
    monkeypatch.setattr(history_replies, "_INTERVAL_S", 0.001)
    made: list[HistoryReplies] = []

    def make(*, private: bool = False, file: Path = path, of: Inbox = inbox) -> HistoryReplies:
        made.append(HistoryReplies(file, of, private=private))
        made[-1].start()
        return made[-1]

    yield make
    for replies in made:
        replies.close(5)
        assert not replies.alive()


def ask(replies: HistoryReplies, request: HistoryRequest) -> dict[str, Any]:
    """The reply to one request."""
    reply = FakeReply()
    replies.offer(request, reply)
    eventually(lambda: reply.sent)
    return reply.sent[0]


def ids(reply: dict[str, Any]) -> list[str]:
    return [line["id"] for line in reply["lines"]]


def test_all_lines_come_page_by_page_while_the_daemon_writes(make_replies: Callable[..., HistoryReplies]) -> None:
    replies = make_replies()
    first = ask(replies, HistoryRequest(3))
    second = ask(replies, HistoryRequest(3, int(first["next"])))
    third = ask(replies, HistoryRequest(3, int(second["next"])))
    assert [ids(first), ids(second), ids(third)] == [
        ["line-7", "line-6", "line-5"],
        ["line-4", "line-3", "line-2"],
        ["line-1"],
    ]
    assert third["next"] is None
    assert first["lines"][0]["status"] == "waiting"


@pytest.mark.parametrize(("before", "expected"), [(1, 0), (2**63 - 1, 7)])
def test_a_cursor_that_no_reply_had_gives_what_came_before_it(
    make_replies: Callable[..., HistoryReplies], before: int, expected: int
) -> None:
    found = ask(make_replies(), HistoryRequest(100, before))
    assert len(found["lines"]) == expected
    assert found["next"] is None


def test_private_lines_have_no_text(make_replies: Callable[..., HistoryReplies]) -> None:
    found = ask(make_replies(private=True), HistoryRequest(1))
    assert found["private"] is True
    assert "text" not in found["lines"][0]


def test_why_there_are_no_lines_is_told(
    make_replies: Callable[..., HistoryReplies], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = ask(make_replies(), HistoryRequest(transaction="t", fault="limit: must be less"))
    assert (refused["detail"], refused["transaction"]) == ("limit: must be less", "t")
    file = tmp_path / "other.sqlite"
    replies = make_replies(file=file)
    assert "look at the log" in ask(replies, HistoryRequest())["detail"], "there is no file"
    file.write_bytes(b"this is not a database at all" * 100)
    assert "look at the log" in ask(replies, HistoryRequest())["detail"]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert replies.alive()


def test_while_the_disk_fails_the_lines_in_memory_are_told(make_replies: Callable[..., HistoryReplies]) -> None:
    in_memory = Inbox(None, InboxLimits())
    try:
        wait_for(in_memory.accept([Arrival(Line(f"memory-{number}", "Text.")) for number in range(3)]))
        replies = make_replies(of=in_memory)
        first = ask(replies, HistoryRequest(2))
        assert ids(first) == ["memory-2", "memory-1"]
        assert ids(ask(replies, HistoryRequest(2, int(first["next"])))) == ["memory-0"]
    finally:
        in_memory.close()
    assert "look at the log" in ask(replies, HistoryRequest())["detail"], "it is closed"


def test_while_the_broker_confirms_nothing_a_few_requests_wait_and_the_others_are_refused(
    make_replies: Callable[..., HistoryReplies], caplog: pytest.LogCaptureFixture
) -> None:
    replies = make_replies()
    held, flood = FakeReply(), FakeReply()
    held.may_go.clear()
    replies.offer(HistoryRequest(), held)
    eventually(lambda: held.sent)
    began_s = time.monotonic()
    for _ in range(5000):
        replies.offer(HistoryRequest(), flood)
    assert time.monotonic() - began_s < 1, "the caller is the thread of the commands"
    assert len(flood.sent) == 100
    assert all(found["detail"].startswith("20 history requests wait already") for found in flood.sent)
    held.may_go.set()
    eventually(lambda: len(flood.sent) == 120)
    assert all("lines" in found for found in flood.sent[100:])
    assert caplog.records == []


def test_a_request_that_has_waited_too_long_is_left_out(
    make_replies: Callable[..., HistoryReplies], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = make_replies()
    held, late, new = FakeReply(), FakeReply(), FakeReply()
    held.may_go.clear()
    replies.offer(HistoryRequest(), held)
    eventually(lambda: held.sent)
    replies.offer(HistoryRequest(), late)
    monkeypatch.setattr(history_replies, "_OLD_S", -1.0)
    held.may_go.set()
    eventually(lambda: not replies._waiting)
    monkeypatch.setattr(history_replies, "_OLD_S", 10.0)
    replies.offer(HistoryRequest(), new)
    eventually(lambda: new.sent)
    assert late.sent == []


def test_replies_have_a_pause_between_them(
    make_replies: Callable[..., HistoryReplies], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_replies, "_INTERVAL_S", 0.1)
    replies, reply = make_replies(), FakeReply()
    began_s = time.monotonic()
    for _ in range(4):
        replies.offer(HistoryRequest(), reply)
    eventually(lambda: len(reply.sent) == 4)
    assert time.monotonic() - began_s >= 0.3
