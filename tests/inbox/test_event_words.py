"""Events have the text and the author of their line as they were sent, unless the log is private."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ishowtts.config import Config
from ishowtts.inbox import InboxLimits
from ishowtts.model import Line, Outcome, Priority, Reason, Rejection, ReplyTo

Queue = Any  # of conftest.py


def every_event(queue: Queue) -> dict[str, dict[str, Any]]:
    """Make each kind of event that a line can have. Returns the data by the name of the event."""
    box = queue.inbox
    box.accept([Line("done", "Bob says: hi", author="Bob", sent_text="<b>hi</b>", bare_text="hi")])
    seq = box.take().seq
    box.started(seq, muted=False)
    box.interrupt(seq, 0)
    box.resumed(box.take().seq, {"muted": False})
    box.finish(seq, Outcome.FINISHED, {"rtf": 0.1})
    box.accept([Line("done", "Bob says: hi", author="Bob", sent_text="<i>hi</i>", bare_text="hi")])
    box.accept([Rejection("bad", Reason.BAD_FIELD, "speed", text="of the payload", author="Eve", sent='{"text": "of')])
    box.accept([Line("low", "one", priority=Priority.LOW, author="Al"), Line("a", "two", author="Ann")])
    box.accept([Line("b", "two", author="Bea", reply_to=ReplyTo("r"))])
    box.accept([Line("full", "three", priority=Priority.HIGH)])
    box.finish(box.take().seq, Outcome.FAILED, {"error": "no"})
    box.cancel_waiting("stop")
    box.accept([Line("late", "four", ttl_s=1.0)])
    queue.clock.pass_s(2)
    box.accept([Rejection("filtered", Reason.FILTERED, "no", line=Line("filtered", "x" * 3000))])
    return {f"{event.event} {event.id}": event.data for _, event in box.unsent(100)}


def test_each_event_has_the_words_of_its_own_line(make_queue: Callable[..., Queue]) -> None:
    found = every_event(make_queue(merge_s=10, max_lines=2))
    words = {name: (data.get("text"), data.get("author")) for name, data in found.items()}
    assert words == {
        "accepted done": ("<b>hi</b>", "Bob"),
        "started done": (None, None),
        "interrupted done": (None, None),
        "resumed done": (None, None),
        "finished done": ("<b>hi</b>", "Bob"),
        "duplicate done": ("<i>hi</i>", "Bob"),
        "rejected bad": ("of the payload", "Eve"),
        "accepted low": ("one", "Al"),
        "accepted a": ("two", "Ann"),
        "merged b": ("two", "Bea"),
        "evicted low": ("one", "Al"),
        "accepted full": ("three", None),
        "failed full": ("three", None),
        "cancelled a": ("two", "Ann"),
        "accepted late": ("four", None),
        "expired late": ("four", None),
        "rejected filtered": ("x" * 1000 + "…", None),
    }


def test_with_a_private_log_no_event_has_words(make_queue: Callable[..., Queue]) -> None:
    private = InboxLimits.from_config(Config.model_validate({"log": {"private": True}})).event_words
    found = every_event(make_queue(merge_s=10, max_lines=2, event_words=private))
    assert "rejected bad" in found
    assert not [name for name, data in found.items() if "text" in data or "author" in data]


@pytest.mark.parametrize("text", ["温度是25度。" * 100, "😀" * 1200, "a\ud800b\x00\u2028"])
def test_any_text_comes_back_as_it_was_sent(make_queue: Callable[..., Queue], text: str) -> None:
    queue = make_queue()
    queue.inbox.accept([Rejection("a", Reason.FILTERED, "no", line=Line("a", text))])
    [(_, event)] = queue.inbox.unsent()
    sent = text.replace("\ud800", "?")
    assert event.data["text"] == (sent if len(sent) <= 1000 else f"{sent[:1000]}…")
