"""Helpers that several commands use: configuration, services, JSON, parsed and formatted values, rights of others."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ishowtts import DEFAULT_CONFIG
from ishowtts.errors import ConfigError, EngineError, FatalError, LineError, NamedFileError
from ishowtts.limits import VOLUME
from ishowtts.util import logs
from ishowtts.util.logs import tell, visible

if TYPE_CHECKING:
    from ishowtts.config import Config  # with pydantic it takes 0.2 s to import, and `--help` does not need it

_MAX_NUMBER = 1e12
_MOST_ENGINES = 5

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def read_config(arguments: argparse.Namespace) -> Config:
    """Load the configuration that `--config` names; the defaults if there is no file at the default path."""
    from ishowtts import config
    from ishowtts.config import Config

    path: Path = arguments.config or Path(DEFAULT_CONFIG)
    if arguments.config is None and not path.exists():
        print(f"there is no {path}: using the defaults; name a file with --config", file=sys.stderr)
        return Config()
    settings = config.load(path)
    if path == Path(DEFAULT_CONFIG):
        _use_credentials_of_the_service(path.parent)
    for warning in settings.warnings:
        tell(warning, logging.WARNING)
    return settings


def _use_credentials_of_the_service(folder: Path) -> None:
    """Let a command of the operator connect to the broker as the service does, with the secrets beside its file.

    systemd hands them to the service only. Another configuration may name another broker, which must not get them.
    """
    if (folder / "mqtt-password").exists():
        os.environ.setdefault("CREDENTIALS_DIRECTORY", str(folder))


def root_topic(settings: Config) -> str:
    """The root topic of the appliance that this configuration describes."""
    from ishowtts.board.detect import detect_board

    return settings.root_topic(detect_board(settings.board.source, settings.board.sysfs_root).identity().serial)


def read_service_config(arguments: argparse.Namespace) -> Config:
    """Load the configuration of a service of systemd.

    Raises:
        ConfigError: The configuration is wrong.
        FatalError: Its file cannot be read now. systemd starts the service again.
    """
    try:
        return read_config(arguments)
    except NamedFileError as error:
        raise FatalError(str(error)) from error


def serve_until_stopped(settings: Config, serve: Callable[[], int]) -> int:
    """Run a service of systemd with its log.

    Returns:
        The exit status. After 2, a wrong configuration, systemd does not start it again. After 1 it does: what the
        service needs may be there later.
    """
    logs.set_up(settings.log.level, private=settings.log.private)
    log = logging.getLogger("ishowtts")
    try:
        return serve()
    except ConfigError as error:
        for problem in error.problems:
            log.critical("%s", problem)
        return 1 if isinstance(error, NamedFileError) else 2
    except FatalError as error:
        log.critical("%s", error)
        return 1


def voice_set_over_mqtt(settings: Config) -> str | None:
    """The default voice that was set over MQTT; `None` if none was. Raises PermissionError."""
    from ishowtts.inbox import read_setting
    from ishowtts.util.user_rights import as_owner_of

    with as_owner_of(settings.state_dir):
        return read_setting(settings.inbox_file, "voice") or None


def print_json(data: Any) -> None:
    """Print JSON for programs. Control characters and lone surrogates are escaped."""
    print(_printable(json.dumps(data, ensure_ascii=False, indent=2)))


def compact_json(data: Any) -> str:
    """JSON on one line, escaped as by `print_json`."""
    return _printable(json.dumps(data, ensure_ascii=False))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", char.encode("utf-16-be", "surrogatepass")))


def volume(written: str) -> int:
    """Parse an option that is a volume in percent. Raises ArgumentTypeError."""
    digits = written.removesuffix("%")
    if not re.fullmatch("[0-9]{1,3}", digits) or int(digits) > VOLUME[1]:
        raise argparse.ArgumentTypeError(f"{written!r} is not a volume from {VOLUME[0]} to {VOLUME[1]}")
    return int(digits)


def language_tag(written: str) -> str:
    """Parse an option that is the tag of a language. Raises ArgumentTypeError."""
    from ishowtts.text.scripts import canonical_language  # `--help` does not need the package, which takes 0.1 s

    tag = canonical_language(written)
    if tag is None:
        raise argparse.ArgumentTypeError(f"{written!r} is not the tag of a language, as in de or pt-BR")
    return tag


def text_of(words: Sequence[str]) -> str:
    """The text of a command: its words, or standard input if they are `-`. Raises LineError."""
    text = " ".join(words)
    text = sys.stdin.read() if text == "-" else text  # bytes that are not UTF-8 become surrogates
    if re.search("[\ud800-\udfff]", text):
        raise LineError("the text is not UTF-8; save or type it as UTF-8")
    return text


def number(value: object, digits: int) -> str:
    """Format a number of an event or a row with `digits` decimals; empty if the value is not a plausible number."""
    plausible = isinstance(value, (int, float)) and not isinstance(value, bool) and -_MAX_NUMBER < value < _MAX_NUMBER
    return f"{value:.{digits}f}" if plausible else ""


def spoken_by(data: Mapping[str, Any]) -> str:
    """The engines that spoke, from a final event; not yet safe for a terminal. Empty if it does not name any."""
    several = data.get("engines")
    if isinstance(several, list) and several:
        return ", ".join(str(name) for name in several[:_MOST_ENGINES])
    return str(data.get("engine") or "")


def why(data: Mapping[str, Any]) -> str:
    """Format the reason that a final event gives, for a terminal; empty if there is none."""
    for name in ("detail", "error", "by", "into", "of"):
        if data.get(name):
            return visible(f"into {data[name]}" if name == "into" else str(data[name]))
    return ""


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Turn a write error (for example, a full disk) into an EngineError."""
    try:
        yield
    except OSError as error:
        raise EngineError(f"{path} cannot be written ({error.strerror or error}); make room there") from error
