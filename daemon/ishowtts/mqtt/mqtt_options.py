"""How to reach the broker, and who hears of what comes from it."""

from __future__ import annotations

import hashlib
import os
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from ishowtts.config import Config
from ishowtts.model import Arrival, Command, Delivery
from ishowtts.mqtt.duplicate_guard import GuardTimeouts


@dataclass(frozen=True)
class MqttOptions:
    """The broker, and the appliance's place on it.

    Args:
        root: `<prefix>/<device>`.
        protocol: 5, or 4 for MQTT 3.1.1.
        session_expiry_s: how long the broker keeps lines for an appliance that is away.
        max_packet_bytes: what the broker may send us in one packet (MQTT 5); it drops larger ones in silence, so
            this is the 1 MiB that the shipped broker takes for a payload, and room for topic and properties.
        instance: tells this run of the daemon from every other.
        predecessors: the instances of earlier runs on the same state directory.
        patience: when another appliance of our name counts as gone.
        client_secret: of the state directory, in our client ids. Whoever knows a client id can connect with it, and so
            end our session at the broker with all lines that wait there.
        probe_interval_s, probe_timeout_s: after so long without a message on the lines connection a probe is published,
            and must have come back within this time.
        confirm_timeout_s: a broker that confirms nothing of what we publish for so long is connected to anew.
        broker_saves_s: a broker has saved within this time what it has processed; the shipped one does so every 2 s.
        receive_maximum: unacknowledged lines that the broker may have under way (MQTT 5). mosquitto 2.0.11 gets stuck
            behind more expired ones than that, until the next publish.
    """

    host: str
    port: int
    root: str
    prefix: str
    protocol: Literal[5, 4] = 5
    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    keepalive_s: int = 30
    session_expiry_s: int = 900
    max_packet_bytes: int = (1 << 20) + (1 << 18)
    receive_maximum: int = 1000
    will_delay_s: int = 10
    connect_timeout_s: float = 5.0
    probe_interval_s: float = 30.0
    probe_timeout_s: float = 10.0
    confirm_timeout_s: float = 15.0
    broker_saves_s: float = 5.0
    retry_min_s: float = 0.5
    retry_max_s: float = 30.0
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    predecessors: frozenset[str] = frozenset()
    client_secret: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)
    patience: GuardTimeouts = field(default_factory=GuardTimeouts)

    @classmethod
    def from_config(cls, config: Config, root: str) -> MqttOptions:
        """Takes the options from the configuration, and secrets from its files or from systemd's credentials.

        Raises:
            ConfigError: the password file, or a credential, cannot be read.
        """
        mqtt = config.mqtt
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        credentials = Path(folder) if folder else None
        return cls(
            host=mqtt.host,
            port=mqtt.port,
            root=root,
            prefix=mqtt.prefix,
            protocol=5 if mqtt.protocol == 5 else 4,
            username=config.mqtt_username(credentials),
            password=config.mqtt_password(credentials),
            tls_ca=mqtt.tls.ca,
            tls_cert=mqtt.tls.cert,
            tls_key=config.mqtt_tls_key(credentials),
            keepalive_s=mqtt.keepalive_s,
            patience=GuardTimeouts(
                config.telemetry.interval_s, mqtt.duplicate_guard.silence_s, mqtt.duplicate_guard.retry_s
            ),
            session_expiry_s=max(1, min(int(config.queue.max_age_s), 2**32 - 2)),
        )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return any((self.tls_ca, self.tls_cert, self.tls_key))

    def tls_files(self) -> tuple[str | None, str | None, str | None]:
        """The authority's, our own certificate and its key, as paho and ssl take them."""
        ca, cert, key = (str(path) if path else None for path in (self.tls_ca, self.tls_cert, self.tls_key))
        return ca, cert, key

    @property
    def reply_prefix(self) -> str:
        """Where answers may go."""
        return f"{self.prefix}/reply/"

    @property
    def broker(self) -> str:
        """The broker as sentences name it."""
        return f"the broker at {self.host}:{self.port}"

    def client_id(self, role: str) -> str:
        """The same after every start, or the broker would not know our session again; it is a credential."""
        digest = hashlib.sha256(f"{self.root}\0{self.client_secret}".encode()).hexdigest()[:24]
        return f"{self.root.replace('/', '-')}-{digest}-{role}"


@dataclass(frozen=True)
class MqttHandlers:
    """Who hears of what. All are called on the link's threads and must not block.

    Args:
        on_arrival: a line or a rejection, and what to call once it is safe. Every arrival needs its `ack()`:
            acknowledgements leave in the order of arrival, so a missing one holds back those after it.
            It may be called on any thread, and does nothing where the connection is gone.
        on_session: a connection for lines stands: the name of its session, whether the broker knows it still, and what
            to call, on any thread, before a new session brings anything. What a session that is known brings, comes
            after this call.
        on_command: a command that was understood.
        on_command_fault: the sentence for one that was not, and its transaction where that could be read.
        on_volume: a volume from 0 to 100.
        on_connection: whether the link works now, and why (not); called when either changes.
        on_settled: deliveries that the broker will not make again, since it has processed their acknowledgements.
    """

    on_arrival: Callable[[Arrival, Callable[[], None]], None]
    on_session: Callable[[str, bool, Callable[[], None]], None]
    on_command: Callable[[Command], None]
    on_command_fault: Callable[[str, str | None], None]
    on_volume: Callable[[int], None]
    on_connection: Callable[[bool, str], None]
    on_settled: Callable[[Sequence[Delivery]], object] = lambda _: None
