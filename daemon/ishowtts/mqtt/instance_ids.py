"""Which runs of the daemon have used this state directory, and by which secret the broker knows it."""

from __future__ import annotations

import re
import secrets

from ishowtts.inbox import Inbox, settled

_KEY = "instances"
_SECRET_KEY = "client_secret"  # noqa: S105  the name of a setting
_REMEMBERED = 20  # starts in a row that may fail to reach the broker


def known(inbox: Inbox, own: str) -> frozenset[str]:
    """The instance ids of the latest runs, our own not included, which is added to them."""
    earlier = [each for each in (inbox.recall(_KEY) or "").split() if each != own]
    # Nobody waits for it: where the disk refuses, the next start takes this run for another's, and listens a while.
    inbox.remember(_KEY, " ".join([own, *earlier][:_REMEMBERED]))
    return frozenset(earlier)


def client_secret(inbox: Inbox) -> str:
    """What the client ids on the broker are made of, made once for a state directory. It is a credential.

    Raises:
        InboxError: the disk does not answer.
    """
    kept = inbox.recall(_SECRET_KEY)
    if kept is not None and re.fullmatch(r"[0-9a-f]{32}", kept):
        return kept
    secret = secrets.token_hex(16)
    settled(inbox.remember(_SECRET_KEY, secret))
    return secret
