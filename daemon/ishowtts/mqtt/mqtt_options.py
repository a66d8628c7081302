"""The settings of the link to the broker."""

from __future__ import annotations

import hashlib
import os
import secrets
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from ishowtts.config import Config
from ishowtts.mqtt.duplicate_guard import GuardTimeouts


@dataclass(frozen=True)
class MqttOptions:
    """How to reach the broker, and how the appliance uses it.

    Args:
        root: `<prefix>/<device>`.
        groups: Names of the groups of the appliance.
        protocol: 5, or 4 for MQTT 3.1.1.
        session_expiry_s: How long the broker keeps lines for an appliance that is away.
        max_packet_bytes: The largest packet that the broker may send us (MQTT 5). It drops larger ones silently. So
            this is the 1 MiB that the shipped broker takes for a payload, and room for topic and properties.
        instance: Id of this run of the daemon.
        predecessors: The ids of earlier runs on the same state directory.
        guard_timeouts: When another appliance of our name counts as gone.
        client_secret: Secret of the state directory, a part of our client ids. Whoever knows a client id can connect
            with it, and so end our session at the broker with all lines that wait there.
        probe_interval_s, probe_timeout_s: After the interval without a message on a connection we publish a probe. It
            must come back within the timeout.
        confirm_timeout_s: If the broker confirms no publish for this time, we connect again.
        broker_saves_s: A broker saves within this time what it has processed. The shipped one saves every 2 s.
        home_assistant_status: Topic on which Home Assistant says that it has started; `None`: not wanted.
        receive_maximum: Maximum number of unacknowledged lines that the broker may send (MQTT 5). If more expired ones
            than that wait, mosquitto 2.0.11 hangs until the next publish.
    """

    host: str
    port: int
    root: str
    prefix: str
    groups: tuple[str, ...] = ()
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
    guard_timeouts: GuardTimeouts = field(default_factory=GuardTimeouts)
    home_assistant_status: str | None = None

    @classmethod
    def from_config(cls, config: Config, root: str, user: tuple[str, SecretStr | None] | None = None) -> MqttOptions:
        """Build the options from the configuration, and secrets from its files or from systemd's credentials.

        Args:
            user: Name and password at the broker; `None`: those of `mqtt`.

        Raises:
            ConfigError: the password file or a credential cannot be read.
        """
        mqtt = config.mqtt
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        credentials = Path(folder) if folder else None
        username, password = user or (config.mqtt_username(credentials), config.mqtt_password(credentials))
        return cls(
            host=mqtt.host,
            port=mqtt.port,
            root=root,
            prefix=mqtt.prefix,
            groups=tuple(mqtt.groups),
            protocol=5 if mqtt.protocol == 5 else 4,
            username=username,
            password=password,
            tls_ca=mqtt.tls.ca,
            tls_cert=mqtt.tls.cert,
            tls_key=config.mqtt_tls_key(credentials),
            keepalive_s=mqtt.keepalive_s,
        ).changed(config)

    def changed(self, config: Config) -> MqttOptions:
        """The options with what a reload of the configuration may change."""
        guard, home_assistant = config.mqtt.duplicate_guard, config.home_assistant
        return replace(
            self,
            guard_timeouts=GuardTimeouts(config.telemetry.interval_s, guard.silence_s, guard.retry_s),
            session_expiry_s=max(1, min(int(config.queue.max_age_s), 2**32 - 2)),
            home_assistant_status=f"{home_assistant.prefix}/status" if home_assistant.discovery else None,
        )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return any((self.tls_ca, self.tls_cert, self.tls_key))

    def tls_files(self) -> tuple[str | None, str | None, str | None]:
        """The files of the authority, of our certificate and of its key."""
        ca, cert, key = (str(path) if path else None for path in (self.tls_ca, self.tls_cert, self.tls_key))
        return ca, cert, key

    @property
    def reply_prefix(self) -> str:
        """Prefix of the topics to which answers may be published."""
        return f"{self.prefix}/reply/"

    @property
    def group_roots(self) -> tuple[str, ...]:
        """The roots of the topics of its groups, as in `ishowtts/group/downstairs`."""
        return tuple(f"{self.prefix}/group/{name}" for name in self.groups)

    @property
    def broker(self) -> str:
        """The name of the broker in sentences."""
        return f"the broker at {self.host}:{self.port}"

    def client_id(self, role: str) -> str:
        """The client id of a role.

        It is the same after every start, because the broker finds our session by it. It is a credential.
        """
        digest = hashlib.sha256(f"{self.root}\0{self.client_secret}".encode()).hexdigest()[:24]
        return f"{self.root.replace('/', '-')}-{digest}-{role}"
