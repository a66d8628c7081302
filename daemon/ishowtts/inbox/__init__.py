"""The only owner of a line's life: waiting, speaking, then exactly one final outcome, all of it on disk."""

from ishowtts.inbox.clock import Clock
from ishowtts.inbox.history import read_history
from ishowtts.inbox.inbox import Inbox, settled
from ishowtts.inbox.values import HistoryEntry, InboxLimits, Taken
from ishowtts.inbox.writer import Order

__all__ = ["Clock", "HistoryEntry", "Inbox", "InboxLimits", "Order", "Taken", "read_history", "settled"]
