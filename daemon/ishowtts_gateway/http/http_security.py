"""Who may use the HTTP interface: checks of Host, Origin, token, rate and size of every request."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from ishowtts.config.gateway_section import GatewayHttpSection, is_loopback, split_listen
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.http_response import Elsewhere, SafeResponse
from ishowtts_gateway.http.request_limits import BoundedBody, TokenBuckets, client_group, client_of_proxy
from ishowtts_gateway.http.session_token import SESSION_S, SessionKey, TokenCheck

log = logging.getLogger(__name__)

MAX_HEADERS_BYTES = 32_768
"""Of path, query and headers. uvicorn bounds only headers that come in pieces."""
JSON_BYTES = 131_072
UPLOAD_BYTES = 12_300_000
"""A clip of 12 MB and its words."""
_JSON_S, _UPLOAD_S = 15.0, 300.0
_PER_S, _AT_ONCE = 50, 1000
"""Requests of an address beyond loopback. A page takes 30 when it opens, and 20 may open at once behind a router."""
_ALL_PER_S, _ALL_AT_ONCE = 200, 2000
_SAFE = {"GET", "HEAD", "OPTIONS"}
_PUBLIC = {"/health", "/login", "/api/session"}
_SECRET_PARAMETERS = {"token", "access_token"}
_MAX_COOKIES = 4
_PAGES = {"/", "/login"}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class AccessRules:
    """Who may use the interface.

    Attributes:
        host_names: Names, in small letters, that `Host` may have. Addresses are always allowed: no foreign DNS server
            can make a browser send one.
        token: `None`: everybody who reaches the interface may use it.
        tls: Whether the gateway itself speaks HTTPS.
        port: A part of the cookie's name, because all ports of a host share their cookies.
        behind_proxy: Whether a reverse proxy on this machine says who the client is (`gateway.http.behind_proxy`).
    """

    host_names: frozenset[str]
    token: str | None = field(default=None, repr=False)
    tls: bool = False
    port: int = 8770
    behind_proxy: bool = False

    @classmethod
    def from_config(cls, section: GatewayHttpSection, token: str | None) -> AccessRules:
        """Builds the rules. Beyond loopback this machine's name is allowed too, also with `.local`."""
        host, port = split_listen(section.listen)
        names = {"localhost", host.lower(), *section.allowed_hosts}
        if not is_loopback(host):
            own = socket.gethostname().lower()
            names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}
        return cls(frozenset(names), token, section.tls.cert is not None, port, section.behind_proxy)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. With `__Host-` browsers take it only over HTTPS, and only from this host."""
        return f"{'__Host-' if self.tls else ''}ishowtts-{self.port}"


class Access:
    """Decides who may do what. Holds the rates of all clients.

    Args:
        rules: The configured part.
        now_s: Returns monotonic seconds.
    """

    def __init__(self, rules: AccessRules, now_s: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._requests = TokenBuckets(_PER_S, _AT_ONCE, _ALL_PER_S, _ALL_AT_ONCE, now_s)
        self._key = None if rules.token is None else SessionKey(rules.token)
        self._tokens = None if self._key is None else TokenCheck(self._key, now_s)

    def sign_in(self, token: object, scope: Scope) -> str:
        """Returns the `Set-Cookie` of a new session.

        Raises:
            GatewayError: The token is wrong, or there were too many wrong ones.
        """
        if self._key is None or self._tokens is None:
            raise GatewayError(400, "this gateway has no token; nobody needs to log in")
        if not isinstance(token, str):
            raise GatewayError(400, 'send {"token": "…"}')
        self._tokens.check(token, client_group(scope))
        return self._cookie(scope, self._key.new_session(), SESSION_S)

    def sign_out(self, scope: Scope) -> str:
        """Returns the `Set-Cookie` that removes a session."""
        return self._cookie(scope, "", 0)

    @property
    def behind_proxy(self) -> bool:
        """Whether a reverse proxy on this machine says who the client is."""
        return self._rules.behind_proxy

    @property
    def needs_token(self) -> bool:
        """Whether users must log in."""
        return self._key is not None

    def signed_in(self, scope: Scope) -> bool:
        """Whether a request has a session, or needs none."""
        return self._key is None or any(map(self._key.is_session, _cookies(scope, self._rules.cookie)))

    def _cookie(self, scope: Scope, value: str, max_age_s: int) -> str:
        # A reverse proxy on this machine says whether the browser uses HTTPS. A false claim harms only its client.
        secure = self._rules.tls or Headers(scope=scope).get("x-forwarded-proto") == "https"
        text = f"{self._rules.cookie}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}"
        return f"{text}; Secure" if secure else text

    def check(self, scope: Scope) -> None:
        """Returns if a request may go on.

        Raises:
            GatewayError: It may not.
            Elsewhere: The browser must go to the login page, or load the page again.
        """
        group = client_group(scope)
        if self._requests.wait_s(group) > 0:
            raise GatewayError(429, "too many requests; send at most 50 a second")
        self._requests.take(group)
        sizes = (len(name) + len(value) for name, value in scope["headers"])
        if len(scope["path"]) + len(scope["query_string"]) + sum(sizes) > MAX_HEADERS_BYTES:
            raise GatewayError(431, f"the headers are larger than {MAX_HEADERS_BYTES:,} bytes, which is the limit here")
        headers = Headers(scope=scope)
        self._check_host(headers.get("host", ""))
        for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if name.lower() in _SECRET_PARAMETERS:
                raise GatewayError(
                    400, "a token in the address would end up in logs and histories; send it as Authorization: Bearer"
                )
        self._check_site(scope, headers)
        self._check_token(scope, headers, group)

    def _check_host(self, host: str) -> None:
        """Refuses a foreign name: with DNS rebinding, the page of an attacker reaches us under the attacker's name."""
        name = _host_name(host)
        if name is None or not (name in self._rules.host_names or _is_address(name)):
            raise GatewayError(
                421,
                "this gateway has no such name; add it to gateway.http.allowed_hosts, or use an address of its machine",
            )

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuses what another site makes a browser send. Programs send neither of these headers."""
        site = headers.get("sec-fetch-site", "same-origin")
        follows_link = headers.get("sec-fetch-mode") == "navigate" and scope["method"] in {"GET", "HEAD"}
        origin = headers.get("origin")
        if origin is not None and not self._is_own_origin(origin, headers.get("host", "")):
            raise GatewayError(403, "another site may not use this gateway")
        if site not in {"same-origin", "none"}:
            if not (follows_link and scope["path"] in _PAGES):
                raise GatewayError(403, "another site may not use this gateway")
            if self._key is not None and scope["path"] == "/" and not self.signed_in(scope):
                # The browser withholds a strict cookie when another site links to the page, but not after a refresh.
                raise Elsewhere("refresh")

    def _is_own_origin(self, origin: str, host: str) -> bool:
        scheme, _, authority = origin.partition("://")
        schemes = {"https"} if self._rules.tls else {"http", "https"}
        port = ":443" if scheme == "https" else ":80"
        return scheme in schemes and authority.lower().removesuffix(port) == host.lower().removesuffix(port)

    def _check_token(self, scope: Scope, headers: Headers, group: str) -> None:
        path = scope["path"]
        if self._tokens is None or path in _PUBLIC or path.startswith("/static/") or self.signed_in(scope):
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            self._tokens.check(token.strip(), group)
        elif path == "/" and scope["method"] in {"GET", "HEAD"}:
            raise Elsewhere("login")
        else:
            raise GatewayError(401, "log in at /login, or send the token as Authorization: Bearer")


class HttpSecurity:
    """ASGI middleware that lets only those requests through that the rules allow, with bounded bodies."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if self._access.behind_proxy:
            scope = {**scope, "client": client_of_proxy(scope)}
        upload = scope["method"] == "PUT"
        body = BoundedBody(scope, receive, UPLOAD_BYTES if upload else JSON_BYTES, _UPLOAD_S if upload else _JSON_S)
        response = SafeResponse(send, body, scope["path"])
        try:
            self._access.check(scope)
            await self._app(scope, body.receive, response.send)
        except GatewayError as error:
            await response.fail(error)
        except Elsewhere as elsewhere:
            await response.redirect(elsewhere)
        except ClientDisconnect:
            return
        except Exception as error:
            # Neither path nor query: they may hold what a user has typed.
            log.exception("a request failed")
            fault = GatewayError(500, f"the gateway has a fault ({type(error).__name__}); its log says more")
            await response.fail(fault)


def _host_name(host: str) -> str | None:
    """Returns name or address of a `Host`, in small letters and without port; `None` if it has neither."""
    found = _HOST.fullmatch(host)
    return None if found is None else (found[1] or found[2]).lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookies(scope: Scope, name: str) -> list[str]:
    """Returns the values of a cookie. A browser may send several, of different paths."""
    pairs = (part.partition("=") for line in Headers(scope=scope).getlist("cookie") for part in line.split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name][:_MAX_COOKIES]
