"""The durable queue: each line waits, is spoken, and has exactly one final outcome, all of it on disk."""

from ishowtts.inbox.boot_clock import BootClock
from ishowtts.inbox.history_reader import count_history, iterate_history, last_ended_n, read_history, read_setting
from ishowtts.inbox.inbox import Inbox
from ishowtts.inbox.queue_types import DequeuedLine, HeldKey, HistoryEntry, HistoryFilter, InboxLimits
from ishowtts.inbox.writer_thread import PendingTake, wait_for

__all__ = [
    "BootClock",
    "DequeuedLine",
    "HeldKey",
    "HistoryEntry",
    "HistoryFilter",
    "Inbox",
    "InboxLimits",
    "PendingTake",
    "count_history",
    "iterate_history",
    "last_ended_n",
    "read_history",
    "read_setting",
    "wait_for",
]
