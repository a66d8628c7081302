"""The token of the gateway, the cookie of a session, and the limit of attempts with a wrong token."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import re
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from ishowtts.config import Config
from ishowtts.config.schema import missing_secret
from ishowtts.errors import NamedFileError
from ishowtts.util.files import open_regular
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.request_limits import LOOPBACK, TokenBuckets

log = logging.getLogger(__name__)

SESSION_S = 30 * 24 * 3600
_KEY = "gateway.http.token_file"
_MIN_CHARS, _MAX_CHARS = 16, 256
_MAKE = "make one: (umask 077; openssl rand -hex 24 > {path})"
_SESSION = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")
_MAX_KNOWN = 256
_MAX_WARNINGS = 5


def read_token(settings: Config, credentials_dir: Path | None) -> str | None:
    """Reads the token: a systemd credential `gateway-token`, else `gateway.http.token_file`; `None` without either.

    Raises:
        NamedFileError: The file cannot be read, others can read it too, or it holds no good token.
    """
    credential = credentials_dir / "gateway-token" if credentials_dir else None
    path = credential if credential and credential.is_file() else settings.gateway.http.token_file
    if path is None:
        return None
    try:
        with open_regular(path, 4096) as file:
            others_read = os.fstat(file.fileno()).st_mode & stat.S_IRWXO
            content = file.read(4096)
    except FileNotFoundError as error:
        raise NamedFileError([f"{_KEY} {'; '.join(missing_secret(_KEY, path))}"]) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise NamedFileError([f"{_KEY}: {path} cannot be read ({why}); fix its path or permissions"]) from error
    if others_read:
        raise NamedFileError([f"{_KEY}: every user of this machine may open {path}; chmod o= {path}"])
    return _checked(content.decode("ascii", "replace").strip(), path)


def _checked(token: str, path: Path) -> str:
    make = _MAKE.format(path=path)
    if not token:
        raise NamedFileError([f"{_KEY}: {path} is empty; {make}"])
    if len(token) < _MIN_CHARS:
        raise NamedFileError([f"{_KEY}: the token in {path} is shorter than {_MIN_CHARS} characters; {make}"])
    if len(token) > _MAX_CHARS or not re.fullmatch(r"[!-~]+", token):
        raise NamedFileError(
            [f"{_KEY}: {path} must hold one line of at most {_MAX_CHARS} visible ASCII characters; {make}"]
        )
    return token


class SessionKey:
    """Checks the token, and makes and checks sessions.

    A session is a time, a random number and a signature that the token makes. So the gateway keeps no list of sessions:
    they survive its restart, and another token ends all of them.

    Args:
        token: The token.
        now_s: Returns seconds of the epoch.
    """

    def __init__(self, token: str, now_s: Callable[[], float] = time.time) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()
        self._key = hashlib.sha256(b"ishowtts gateway session\0" + token.encode()).digest()
        self._now_s = now_s

    def is_token(self, offered: str) -> bool:
        """Whether a text is the token. Takes the same time for every text of a length."""
        return hmac.compare_digest(hashlib.sha256(offered.encode("utf-8", "replace")).digest(), self._digest)

    def new_session(self) -> str:
        """Makes a session that holds for 30 days."""
        signed = f"{int(self._now_s()) + SESSION_S}.{secrets.token_hex(16)}"
        return f"{signed}.{self._signature(signed)}"

    def is_session(self, offered: str) -> bool:
        """Whether a text is a session that this token has made, and that holds."""
        found = _SESSION.fullmatch(offered)
        if found is None or not hmac.compare_digest(found[3], self._signature(f"{found[1]}.{found[2]}")):
            return False
        # A clock that was set back must not make a session longer.
        return 0 <= int(found[1]) - self._now_s() <= SESSION_S

    def _signature(self, signed: str) -> str:
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()


class TokenCheck:
    """Compares offered tokens with the token, and refuses an address after too many wrong ones.

    An address may be wrong 10 times, and then 10 times a minute. All addresses together: 100 times. An address that has
    had the right token before is not held up by others who guess.
    """

    def __init__(self, key: SessionKey, now_s: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._wrong = TokenBuckets(10 / 60, 10, 100 / 60, 100, now_s)
        self._warnings = RateLimit(_MAX_WARNINGS)
        self._known: OrderedDict[str, None] = OrderedDict()

    def check(self, offered: str, group: str) -> None:
        """Returns if the token is right.

        Args:
            offered: What a client has sent.
            group: The address of the client as `client_group` returns it.

        Raises:
            GatewayError: 401 if it is wrong; 429 if it was not even compared.
        """
        wait_s = self._wrong.wait_s(group, ignore_total=group in self._known)
        if wait_s > 0:
            raise GatewayError(429, f"too many wrong tokens; try again in {math.ceil(wait_s)} s")
        if not self._key.is_token(offered):
            self._wrong.take(group)
            if self._warnings.allows():
                log.warning("a client at %s has sent a wrong token", group)
            raise GatewayError(401, "the token is wrong; it is in the file that gateway.http.token_file names")
        if group == LOOPBACK:
            return
        self._known[group] = None
        self._known.move_to_end(group)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
