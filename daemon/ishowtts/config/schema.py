"""The keys of the configuration, section by section, with defaults and bounds."""

from __future__ import annotations

import difflib
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, field_validator, model_validator

from ishowtts import DEFAULT_CONFIG
from ishowtts.config.audio_section import AudioSection
from ishowtts.config.old_switches import OptimisationsSection
from ishowtts.config.policy_section import PolicySection
from ishowtts.config.section import Section as _Section
from ishowtts.errors import ConfigError
from ishowtts.f5_switches import EIGHT_BITS, TABLE, Compile, Switches, device_faults
from ishowtts.limits import LANGUAGE_TAG, NAME, NFE_STEP, as_name

DEFAULT_PATH = Path(DEFAULT_CONFIG)
SERVICE_DIR = Path("/var/lib/ishowtts")
"""Belongs to root. The service writes only in its subfolder `state`."""
FALLBACKS = ("hibari", "espeak")
"""Kinds of the engines that `engine.fallback` may name, in the order in which they are asked."""


def _no_wildcard(topic: str) -> str:
    if not re.fullmatch(r"[^+#\x00/\s]+(/[^+#\x00/\s]+)*", topic) or topic.startswith("$"):
        # $SYS belongs to the broker, and a shared subscription ($share/…) would deliver every second line elsewhere.
        raise ValueError(
            "must be one or more topic levels without +, #, spaces or empty levels, and must not begin with $"
        )
    return topic


def _device_name(name: str | None) -> str | None:
    if name is not None and not NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 characters of a-z, 0-9, _ and -")
    if name == "reply":
        raise ValueError("must not be reply: answers to publishers are published under <prefix>/reply/")
    return name


def _host(name: str) -> str:
    # The message does not quote the value: with these characters it may be a URL with a password.
    if not re.fullmatch(r"[^\s@/]+", name) or not name.isprintable():
        raise ValueError(
            "must be only a host name or an address; port, username and password_file are keys of their own"
        )
    return name


def _switch_to_disable(name: str) -> str:
    known = [switch.name for switch in TABLE if switch.can_be_disabled]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
        raise ValueError(f"is not a switch that can be disabled; {hint}")
    return name


def _fallback(value: Any) -> Any:
    """Check here and not by the type: a union of types would report a fault for each of them."""
    if isinstance(value, bool):
        return value
    names = [name for name in FALLBACKS if isinstance(value, list) and name in value]
    if value != names:
        raise ValueError(f"must be true, false, or a list of {' and '.join(FALLBACKS)}, each once and in this order")
    return value


def _language(tag: str) -> str:
    if not LANGUAGE_TAG.fullmatch(tag):
        raise ValueError("must be a language tag such as en, de or pt-BR")
    return tag


def _not_empty(tags: list[str]) -> list[str]:
    if not tags:
        raise ValueError("must name at least one language; null means: as the weights say")
    return tags


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
    protocol: Literal[5, "3.1.1"] = 5
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = Field(30, ge=5, le=3600)
    duplicate_guard: DuplicateGuardSection = DuplicateGuardSection()
    tls: TlsSection = TlsSection()


class F5Section(_Section):
    """The F5-TTS engine."""

    weights: Path | None = None
    voices_dir: Path | None = None
    default_voice: str = "default"
    languages: Annotated[list[Annotated[str, AfterValidator(_language)]], AfterValidator(_not_empty)] | None = None
    max_rtf: float = Field(0.9, gt=0)
    nfe_step: int = Field(7, ge=NFE_STEP[0], le=NFE_STEP[1])
    cfg_strength: float = Field(2.0, ge=0, le=10)
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8", "fp8"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    quality: Literal["faithful", "fast"] = "faithful"
    disable: list[Annotated[str, AfterValidator(_switch_to_disable)]] = Field([])
    compile: Compile = False
    optimisations: OptimisationsSection = Field(OptimisationsSection(), exclude=True)

    @field_validator("disable")
    @classmethod
    def _needs_are_met(cls, names: list[str]) -> list[str]:
        off: dict[str, Any] = dict.fromkeys(names, False)
        Switches(**off)  # raises ValueError if another switch needs one of them
        return names

    @model_validator(mode="after")
    def _combination_is_possible(self) -> F5Section:
        if "optimisations" in self.model_fields_set:
            new = self.model_fields_set & {"quality", "disable", "compile"}
            if new:
                raise ValueError(f"use either optimisations, the old key, or {', '.join(sorted(new))}; not both")
        for fault in device_faults(self.switches, self.device):
            raise ValueError(fault)
        return self

    @property
    def switches(self) -> Switches:
        """The switches of the engine and of the scheduler, from all keys that set them."""
        changes: dict[str, Any] = {**Switches.quality(self.quality), "compile": self.compile}
        if self.precision in EIGHT_BITS:
            changes[self.precision] = True
        return Switches(**{**changes, **dict.fromkeys(self.disable, False), **self.optimisations.values()})

    @property
    def tensor_precision(self) -> Literal["auto", "fp32", "fp16", "bf16"]:
        """What the tensors between the products have: `auto` if the products themselves have eight bits."""
        if self.precision == "int8" or self.precision == "fp8":  # noqa: PLR1714 - mypy does not narrow by `in`
            return "auto"
        return self.precision


class DeadlinesSection(_Section):
    """How long the worker may take without progress before it is killed."""

    hello_s: float = Field(60, gt=0)
    load_s: float = Field(300, gt=0)
    warm_step_s: float = Field(300, gt=0)
    segment_s: float = Field(120, gt=0)


class RestartSection(_Section):
    """How a worker that died is restarted, and when it is parked for an hour."""

    first_s: float = Field(0.5, gt=0)
    longest_s: float = Field(30, gt=0)
    park_deaths: int = Field(5, ge=1)
    park_window_s: float = Field(600, gt=0)


class EngineSection(_Section):
    """Which engine speaks."""

    kind: Literal["auto", "f5", "hibari", "espeak"] = "auto"
    fallback: Annotated[bool | list[str], BeforeValidator(_fallback)] = True
    espeak_voice: str = Field("en-us", pattern=r"^[A-Za-z0-9+_][A-Za-z0-9+_-]{0,31}$")
    f5: F5Section = F5Section()
    deadlines: DeadlinesSection = DeadlinesSection()
    restart: RestartSection = RestartSection()

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Kinds of the engines that may speak if another one cannot, in order."""
        if isinstance(self.fallback, bool):
            return FALLBACKS if self.fallback else ()
        return tuple(self.fallback)


class LimitsSection(_Section):
    """Limits of one line, and of the disk."""

    max_chars: int = Field(1000, ge=1, le=100_000)
    too_long: Literal["reject", "cut"] = "reject"
    min_free_mb: int = Field(200, ge=0)


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
    """Source of the board readings."""

    source: Literal["auto", "sysfs", "simulated", "none"] = "auto"
    sysfs_root: Path = Path("/sys")


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
        raise ConfigError([f"{name} {'; '.join(missing_secret(name, path))}"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name}: {path} cannot be read ({why(error)}); fix its path or permissions"]) from error


def missing_secret(key: str, path: Path) -> tuple[str, str]:
    """What is wrong if the file of a secret does not exist, and the fix. A value without a / may be the secret."""
    if "/" in str(path):
        return f"names a file that does not exist: {path}", f"create {path}, or fix {key}"
    hidden = "names a file that does not exist (its name has no / and is not shown: it may be the password itself)"
    return hidden, f"write the password into a file, and the path of that file into {key}"


def default_device_name(serial: str | None) -> str:
    """Host name and last four characters of the serial number, reduced to `[a-z0-9_-]`."""
    name = socket.gethostname().split(".")[0] + (f"-{serial[-4:]}" if serial else "")
    return as_name(name) or "ishowtts"


def why(error: OSError | UnicodeDecodeError) -> str:
    """The reason that the system gives, short."""
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
