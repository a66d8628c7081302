"""One broker, or several that are joined by bridges, for scripts/bench-scale."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol

from support.broker import Broker

# As config/mosquitto/ishowtts.conf, without passwords. These lines replace earlier ones of the tests' configuration.
SHIPPED = (
    "log_type none",
    "log_type information",
    "log_type error",
    "log_type warning",
    "autosave_interval 1",
    "autosave_on_changes false",
    "max_queued_messages 10000",
    "max_queued_bytes 67108864",
    "max_inflight_messages 1000",
    "message_size_limit 1048576",
    "max_packet_size 1310720",
    "set_tcp_nodelay true",
)

_SAVING_S = 0.5  # the time of the file is that of the end of writing
_BRIDGES = Path(__file__).resolve().parents[2] / "config/mosquitto/ishowtts-bridge.conf"


class Address(Protocol):
    """Where clients connect."""

    @property
    def host(self) -> str:
        """Its address."""

    @property
    def port(self) -> int:
        """Its TCP port."""


class BrokerNode(Address, Protocol):
    """A broker of a set. It keeps its address when it starts again."""

    @property
    def pid(self) -> int:
        """Of its process."""

    def start(self) -> object:
        """Starts it. Returns when it listens."""

    def stop(self) -> None:
        """Ends it cleanly."""

    def kill(self) -> None:
        """Ends it as a power cut would."""


class BrokerSet(Protocol):
    """Brokers that serve the same clients."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    @property
    def nodes(self) -> Sequence[BrokerNode]:
        """The brokers, once they have started."""

    def saved_s(self, node: BrokerNode) -> float:
        """Until when its messages are on disk, in seconds of the monotonic clock."""

    @property
    def shares_sessions(self) -> bool:
        """Whether a client may go on at another broker of the set."""


class MosquittoBrokers:
    """One mosquitto, or several. Each further one is joined to the first by a bridge in both directions."""

    shares_sessions = False

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._stack = ExitStack()
        self.nodes: list[Broker] = []

    @property
    def name(self) -> str:
        """What a report calls it."""
        return "one mosquitto" if self._count == 1 else f"{self._count} mosquitto joined by bridges"

    def __enter__(self) -> MosquittoBrokers:
        for number in range(self._count):
            folder = self._folder / f"broker-{number}"
            folder.mkdir(parents=True)
            broker = Broker(folder, extra=(*SHIPPED, self._bridge(number)))
            self.nodes.append(self._stack.enter_context(broker))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def saved_s(self, node: BrokerNode) -> float:
        """Until when its messages are on disk, in seconds of the monotonic clock."""
        databases = {broker.port: broker.database for broker in self.nodes}
        saved_s = databases[node.port].stat().st_mtime - _SAVING_S
        return time.monotonic() - (time.time() - saved_s)

    def _bridge(self, number: int) -> str:
        """Returns the shipped bridges to the first broker, with its address."""
        if number == 0:
            return ""
        first, shipped = self.nodes[0], _BRIDGES.read_text(encoding="utf-8")
        return shipped.replace("broker.example:1883", f"{first.host}:{first.port}").replace("-kitchen", f"-{number}")
