"""Collects what goes wrong on a page: console errors, exceptions, failed requests, requests to other machines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request, Response

_OWN_HOSTS = ("127.0.0.1", "localhost")


class PageFaults:
    """`watch(page)` before the page is opened; `found` has a sentence for each fault.

    A test that takes the gateway away says so: `allow(pattern)` takes faults that match out of `found`.
    """

    def __init__(self) -> None:
        self._all: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    @property
    def found(self) -> list[str]:
        """The faults so far that were not allowed."""
        return [fault for fault in self._all if not any(pattern.search(fault) for pattern in self._allowed)]

    def allow(self, pattern: str) -> None:
        """Allow faults that match."""
        self._allowed.append(re.compile(pattern))

    def watch(self, page: Page) -> None:
        """Collect the faults of a page from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._all.append(f"exception: {error}"))
        page.on("request", self._on_request)
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._all.append(f"console {message.type}: {message.text} ({message.location['url']})")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and parts.hostname not in _OWN_HOSTS:
            self._all.append(f"request to another machine: {request.url}")

    def _on_failed(self, request: Request) -> None:
        # A player that gets no more of a recording ends its request. A page that is left ends its stream.
        ended = request.failure == "net::ERR_ABORTED"
        if not (ended and (request.url.startswith("blob:") or request.url.endswith("/api/stream"))):
            self._all.append(f"request failed: {request.method} {request.url} ({request.failure})")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._all.append(f"status {response.status}: {response.request.method} {response.url}")
