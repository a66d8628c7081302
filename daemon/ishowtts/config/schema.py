"""The keys of the configuration, section by section, with defaults and bounds."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr

from ishowtts import DEFAULT_CONFIG
from ishowtts.config.audio_section import AudioSection
from ishowtts.config.engine_section import EngineSection
from ishowtts.config.gateway_section import GatewaySection
from ishowtts.config.policy_section import PolicySection
from ishowtts.config.section import Section as _Section
from ishowtts.errors import ConfigError, NamedFileError
from ishowtts.limits import NAME, RESERVED_NAMES, as_name

DEFAULT_PATH = Path(DEFAULT_CONFIG)
SERVICE_DIR = Path("/var/lib/ishowtts")
"""Belongs to root. The service writes only in its subfolder `state`."""

_MAX_PREFIX_CHARS, _MAX_PREFIX_LEVELS = 200, 10


def _no_wildcard(topic: str) -> str:
    if not re.fullmatch(r"[^+#\x00/\s]+(/[^+#\x00/\s]+)*", topic) or topic.startswith("$"):
        # $SYS belongs to the broker, and a shared subscription ($share/…) would deliver every second line elsewhere.
        raise ValueError(
            "must be one or more topic levels without +, #, spaces or empty levels, and must not begin with $"
        )
    if len(topic) > _MAX_PREFIX_CHARS or topic.count("/") >= _MAX_PREFIX_LEVELS or not topic.isprintable():
        # Otherwise a broker ends each connection, or the topic does not fit into a packet: no line would ever come.
        raise ValueError(
            f"must have at most {_MAX_PREFIX_CHARS} characters in {_MAX_PREFIX_LEVELS} levels, all of them printable"
        )
    return topic


def _device_name(name: str | None) -> str | None:
    if name is not None and not NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 characters of a-z, 0-9, _ and -")
    if name in RESERVED_NAMES:
        raise ValueError(f"must not be {name}: the topics under <prefix>/{name}/ belong to no single appliance")
    return name


def _groups(names: list[str]) -> list[str]:
    if not all(NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise ValueError("must be different names, each 1 to 64 characters of a-z, 0-9, _ and -")
    return names


def _host(name: str) -> str:
    # The message does not quote the value: with these characters it may be a URL with a password.
    if not re.fullmatch(r"[^\s@/]+", name) or not name.isprintable():
        raise ValueError(
            "must be only a host name or an address; port, username and password_file are keys of their own"
        )
    return name


def _power_mode(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"[A-Za-z0-9_.+-]{1,64}", name):
        raise ValueError("must be the name of a power mode, as `nvpmodel -q` shows it: MAXN, MAXN_SUPER, 30W")
    return name


class DeviceSection(_Section):
    """Identity of this appliance."""

    name: Annotated[str | None, AfterValidator(_device_name)] = None


class TlsSection(_Section):
    """TLS to the broker. It is on if any of these keys is set."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def enabled(self) -> bool:
        """Whether the connection is encrypted."""
        return any((self.ca, self.cert, self.key))


class DuplicateGuardSection(_Section):
    """How long another appliance with the same name must be silent before this one takes its place."""

    silence_s: float = Field(12, gt=0, le=3600)
    retry_s: float = Field(60, gt=0, le=86_400)


class MqttSection(_Section):
    """Connection to the broker."""

    host: Annotated[str, AfterValidator(_host)] = "localhost"
    port: int = Field(1883, ge=1, le=65535)
    prefix: Annotated[str, AfterValidator(_no_wildcard)] = "ishowtts"
    groups: Annotated[list[str], AfterValidator(_groups)] = Field([], max_length=20)
    protocol: Literal[5, "3.1.1"] = 5
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = Field(30, ge=5, le=3600)
    duplicate_guard: DuplicateGuardSection = DuplicateGuardSection()
    tls: TlsSection = TlsSection()


class LimitsSection(_Section):
    """Limits of one line, of the disk, and of what is rendered for others."""

    max_chars: int = Field(1000, ge=1, le=100_000)
    too_long: Literal["reject", "cut"] = "reject"
    min_free_mb: int = Field(200, ge=0)
    renders: int = Field(32, ge=0, le=1000)


class QueueSection(_Section):
    """How many lines can wait, and for how long."""

    max_lines: int = Field(1000, ge=1, le=100_000)
    max_age_s: float = Field(900, gt=0)
    dedup_s: float = Field(600, ge=0)
    after_crash: Literal["resume", "repeat", "skip"] = "resume"
    history_days: float = Field(30, ge=0)
    history_lines: int = Field(100_000, ge=0)
    history_mb: int = Field(256, ge=16)


class TelemetrySection(_Section):
    """How often telemetry is published."""

    interval_s: float = Field(5, ge=0.2, le=3600)


class BoardSection(_Section):
    """Sources of the board readings, and the power mode that `ishowtts clocks apply` sets."""

    source: Literal["auto", "sysfs", "simulated", "none"] = "auto"
    sysfs_root: Path = Path("/sys")
    jetson_stats: bool = False
    power_mode: Annotated[str | None, AfterValidator(_power_mode)] = None
    repair_clocks: bool = True


class HomeAssistantSection(_Section):
    """Discovery by Home Assistant over the same broker."""

    discovery: bool = True
    prefix: Annotated[str, AfterValidator(_no_wildcard)] = "homeassistant"


class AlertsSection(_Section):
    """Limits at which alerts are raised."""

    hot_c: float = Field(85, ge=30, le=120)
    slow_rtf: float = Field(0.8, gt=0, le=10)


class TextSection(_Section):
    """How text is read out."""

    normalise: bool = True
    decimal: Literal["auto", "point", "comma"] = "auto"
    pronunciations: Path | None = None


class LogSection(_Section):
    """What the log contains."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    private: bool = False


class Config(_Section):
    """The whole configuration."""

    device: DeviceSection = DeviceSection()
    mqtt: MqttSection = MqttSection()
    engine: EngineSection = EngineSection()
    audio: AudioSection = AudioSection()
    limits: LimitsSection = LimitsSection()
    policies: PolicySection = PolicySection()
    text: TextSection = TextSection()
    queue: QueueSection = QueueSection()
    telemetry: TelemetrySection = TelemetrySection()
    board: BoardSection = BoardSection()
    home_assistant: HomeAssistantSection = HomeAssistantSection()
    alerts: AlertsSection = AlertsSection()
    gateway: GatewaySection = GatewaySection()
    log: LogSection = LogSection()
    state_dir: Path = SERVICE_DIR / "state"
    data_dir: Path | None = None
    cache_dir: Path = Path("/var/cache/ishowtts")
    _warnings: tuple[str, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the file that an operator should read, such as renamed keys. They are not faults."""
        return self._warnings

    def with_warnings(self, warnings: Sequence[str]) -> Config:
        """Return a copy that has these warnings."""
        copy = self.model_copy()
        copy._warnings = tuple(warnings)
        return copy

    @property
    def data_folder(self) -> Path:
        """Folder of `weights`, `voices` and `chimes`: root's own for the service, `state_dir` for a run by hand."""
        if self.data_dir is not None:
            return self.data_dir
        return SERVICE_DIR if self.state_dir.is_relative_to(SERVICE_DIR) else self.state_dir

    @property
    def inbox_file(self) -> Path:
        """The file of the queue and of the history."""
        return self.state_dir / "inbox.sqlite"

    @property
    def chimes_folder(self) -> Path:
        """Folder of the operator's chimes."""
        return self.audio.chimes_dir or self.data_folder / "chimes"

    @property
    def renders(self) -> int:
        """How many texts may be rendered for others or wait for it.

        None over MQTT 3.1.1, which has no response topic, and none if others render for this appliance: two that do so
        would ask each other.
        """
        return 0 if self.engine.kind == "remote" or self.mqtt.protocol != 5 else self.limits.renders

    def root_topic(self, serial: str | None = None) -> str:
        """`<prefix>/<device>`. Without `device.name`, the device is named after host and serial number."""
        return f"{self.mqtt.prefix}/{self.device.name or default_device_name(serial)}"

    def mqtt_username(self, credentials_dir: Path | None = None) -> str | None:
        """User name at the broker: a systemd credential `mqtt-username`, else `mqtt.username`.

        Raises:
            ConfigError: the credential cannot be read.
        """
        path = _credential(credentials_dir, "mqtt-username")
        return self.mqtt.username if path is None else _secret("the credential mqtt-username", path)

    def mqtt_password(self, credentials_dir: Path | None = None) -> SecretStr | None:
        """Password for the broker: a systemd credential `mqtt-password`, else `mqtt.password_file`.

        Raises:
            ConfigError: a file that is named cannot be read.
        """
        path = _credential(credentials_dir, "mqtt-password") or self.mqtt.password_file
        return None if path is None else SecretStr(_secret("mqtt.password_file", path))

    def gateway_user(self, credentials_dir: Path | None = None) -> tuple[str, SecretStr | None] | None:
        """User name and password of the gateway; `None`: it has no user of its own, and uses that of the appliance.

        They are the systemd credentials `gateway-mqtt-username` and `gateway-mqtt-password`, else `gateway.mqtt`.

        Raises:
            ConfigError: a file that is named cannot be read, or a password has no user name.
        """
        path = _credential(credentials_dir, "gateway-mqtt-username")
        name = self.gateway.mqtt.username if path is None else _secret("the credential gateway-mqtt-username", path)
        if not name:
            if self.gateway.mqtt.password_file is not None:
                raise ConfigError(["gateway.mqtt.password_file needs gateway.mqtt.username; set both or neither"])
            return None
        path = _credential(credentials_dir, "gateway-mqtt-password") or self.gateway.mqtt.password_file
        return name, None if path is None else SecretStr(_secret("gateway.mqtt.password_file", path))

    def mqtt_tls_key(self, credentials_dir: Path | None = None) -> Path | None:
        """Private key of the client certificate: a systemd credential `mqtt-tls-key`, else `mqtt.tls.key`."""
        return _credential(credentials_dir, "mqtt-tls-key") or self.mqtt.tls.key


def _credential(folder: Path | None, name: str) -> Path | None:
    path = folder / name if folder else None
    return path if path and path.is_file() else None


def _secret(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError as error:
        raise NamedFileError([f"{name} {'; '.join(missing_secret(name, path))}"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise NamedFileError([f"{name}: {path} cannot be read ({why(error)}); fix its path or permissions"]) from error


def missing_secret(key: str, path: Path) -> tuple[str, str]:
    """What is wrong if the file of a secret does not exist, and the fix. A value without a / may be the secret."""
    if "/" in str(path):
        return f"names a file that does not exist: {path}", f"create {path}, or fix {key}"
    what = "token" if key.endswith("token_file") else "password"
    hidden = f"names a file that does not exist (its name has no / and is not shown: it may be the {what} itself)"
    return hidden, f"write the {what} into a file, and the full path of that file into {key}"


def default_device_name(serial: str | None) -> str:
    """Host name and last four characters of the serial number, reduced to `[a-z0-9_-]`."""
    name = socket.gethostname().split(".")[0] + (f"-{serial[-4:]}" if serial else "")
    return as_name(name) or "ishowtts"


def why(error: OSError | UnicodeDecodeError) -> str:
    """The reason that the system gives, short."""
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
