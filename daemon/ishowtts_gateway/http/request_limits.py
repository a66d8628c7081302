"""Limits of requests: how often an address may do something, and how large and how slow a body may be."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope

from ishowtts_gateway.gateway_error import GatewayError

LOOPBACK = "loopback"
_MAX_ADDRESSES = 1024
_DRAIN_S = 2.0
_DRAIN_BYTES = 64 << 20


def address_group(host: str) -> str:
    """Returns the text under which an address is counted: an IPv4 address, an IPv6 network of 64 bits, or `loopback`.

    A client of IPv6 usually has 2^64 addresses. Behind a reverse proxy every client has the address of loopback.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return LOOPBACK
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def client_group(scope: Scope) -> str:
    """Returns the `address_group` of a request."""
    client = scope.get("client")
    return address_group(client[0]) if client else LOOPBACK


def client_of_proxy(scope: Scope) -> tuple[str, int] | None:
    """Returns the client that a reverse proxy on this machine names; that of the request without one.

    Only the last address of X-Forwarded-For is the proxy's. Those before it came with the request, and may be lies.
    """
    client: tuple[str, int] | None = scope.get("client")
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    if not forwarded or client_group(scope) != LOOPBACK:
        return client
    named = forwarded[-1].decode("latin-1").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(named)), 0
    except ValueError:
        return client


@dataclass
class _Bucket:
    tokens: float
    at_s: float


class TokenBuckets:
    """Limits events by a token bucket for each address, and by one for all of them.

    The addresses of loopback share only the bucket of all: behind a reverse proxy they are many clients.

    Args:
        rate_per_s: How many events an address may cause in the long run.
        burst: How many at once.
        total_rate_per_s, total_burst: The same for all addresses together.
        now_s: Returns monotonic seconds.
    """

    def __init__(
        self,
        rate_per_s: float,
        burst: int,
        total_rate_per_s: float,
        total_burst: int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst = rate_per_s, burst
        self._total_rate, self._total_burst = total_rate_per_s, total_burst
        self._now_s = now_s
        self._total = _Bucket(total_burst, now_s())
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, group: str, *, ignore_total: bool = False) -> float:
        """Returns in how many seconds one more event is allowed; 0 if it is allowed now."""
        waits = [0.0]
        if not ignore_total:
            waits.append(self._wait(self._total, self._total_rate, self._total_burst))
        if (bucket := self._buckets.get(group)) is not None:
            waits.append(self._wait(bucket, self._rate, self._burst))
        return max(waits)

    def take(self, group: str) -> None:
        """Counts an event."""
        self._total.tokens = max(0.0, self._total.tokens - 1)
        if group == LOOPBACK:
            return
        bucket = self._buckets.pop(group, None) or _Bucket(self._burst, self._now_s())
        bucket.tokens = max(0.0, bucket.tokens - 1)
        self._buckets[group] = bucket
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)

    def _wait(self, bucket: _Bucket, rate: float, burst: int) -> float:
        now_s = self._now_s()
        bucket.tokens = min(burst, bucket.tokens + (now_s - bucket.at_s) * rate)
        bucket.at_s = now_s
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) / rate


class BoundedBody:
    """The body of one request, read within limits. `receive` replaces that of the ASGI server.

    Args:
        scope: The request.
        receive: Of the ASGI server.
        max_bytes: Largest body.
        deadline_s: The whole body must have come within this time after the first read.
    """

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int, deadline_s: float) -> None:
        headers = dict(scope["headers"])
        # h11 has refused a request whose length is not a number.
        self._announced = int(headers.get(b"content-length", b"0"))
        self.complete = self._announced == 0 and b"transfer-encoding" not in headers
        self._two_lengths = b"content-length" in headers and b"transfer-encoding" in headers
        self._awaits_go_ahead = b"expect" in headers  # the client sends nothing before we read
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._ends_s: float | None = None
        self._late = False
        self._bytes = 0

    async def receive(self) -> Message:
        """Returns the next part of the body.

        Raises:
            GatewayError: The body is too large or too slow, or has two lengths.
        """
        if self._two_lengths:
            # A proxy before us may believe the other one, and take the rest for a request of another client.
            raise GatewayError(400, "a request has either Content-Length or Transfer-Encoding, not both")
        if self.complete:
            return await self._receive()
        self._check_length(self._announced)
        now_s = asyncio.get_running_loop().time()
        if self._ends_s is None:
            self._ends_s = now_s + self._deadline_s
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._ends_s - now_s))
        except asyncio.TimeoutError as error:
            self._late = True
            raise GatewayError(408, f"the body did not come within {self._deadline_s:.0f} s") from error
        self._count(message)
        self._check_length(self._bytes)
        return message

    async def drain(self) -> None:
        """Reads and drops the rest of the body for a short time.

        A connection that is closed with unread data is reset, and the client may never see the answer.
        """
        if self._late or (self._awaits_go_ahead and self._ends_s is None):
            return
        ends_s = asyncio.get_running_loop().time() + _DRAIN_S
        while not self.complete and self._bytes < _DRAIN_BYTES:
            try:
                left_s = ends_s - asyncio.get_running_loop().time()
                message = await asyncio.wait_for(self._receive(), max(0.0, left_s))
            except asyncio.TimeoutError:
                return
            self._count(message)

    def _count(self, message: Message) -> None:
        self._bytes += len(message.get("body", b""))
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)

    def _check_length(self, length: int) -> None:
        if length > self._max_bytes:
            raise GatewayError(413, f"the body is larger than {self._max_bytes:,} bytes, which is the limit here")
