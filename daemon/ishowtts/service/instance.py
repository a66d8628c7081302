"""Which runs of the daemon have used this state directory: on the broker they are ours."""

from __future__ import annotations

from ishowtts.inbox import Inbox

_KEY = "instances"
_REMEMBERED = 20  # starts in a row that may fail to reach the broker


def known(inbox: Inbox, own: str) -> frozenset[str]:
    """The instance ids of the latest runs, our own not included, which is added to them."""
    earlier = [each for each in (inbox.recall(_KEY) or "").split() if each != own]
    # Nobody waits for it: where the disk refuses, the next start takes this run for another's, and listens a while.
    inbox.remember(_KEY, " ".join([own, *earlier][:_REMEMBERED]))
    return frozenset(earlier)
