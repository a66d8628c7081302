"""What several commands share."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from ishowtts import config
from ishowtts.board.detect import detect_board
from ishowtts.config import DEFAULT_PATH, Config
from ishowtts.errors import EngineError
from ishowtts.limits import VOLUME
from ishowtts.util.logs import visible

_MOST = 1e12

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def read_config(arguments: argparse.Namespace) -> Config:
    """The configuration that `--config` names; the defaults where there is no file at the default place."""
    path: Path = arguments.config or DEFAULT_PATH
    if arguments.config is None and not path.exists():
        print(f"there is no {DEFAULT_PATH}: the defaults are in force; name a file with --config", file=sys.stderr)
        return Config()
    settings = config.load(path)
    for warning in settings.warnings:
        print(visible(warning), file=sys.stderr)
    return settings


def root_topic(settings: Config) -> str:
    """Where the appliance of this configuration lives."""
    return settings.root_topic(detect_board(settings.board.source, settings.board.sysfs_root).identity().serial)


def faults_of_files(settings: Config) -> tuple[str, ...]:
    """What is wrong with the files of blocked words and of pronunciations, a sentence for each."""
    # A command that needs no rules shall not wait for what they import.
    from ishowtts.speech.speech_policy import SpeechPolicy

    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # the caller tells them, once
    return SpeechPolicy.from_config(settings, voices=tuple, language_of=lambda _: None).file_faults


def print_json(data: Any) -> None:
    """Prints JSON for programs. What a terminal would obey is escaped, and so are halves of surrogate pairs."""
    text = json.dumps(data, ensure_ascii=False, indent=2)
    print("".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text))


def _escaped(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for (unit,) in struct.iter_unpack(">H", char.encode("utf-16-be", "surrogatepass")))


def volume(written: str) -> int:
    """An option that says how loud. Raises ArgumentTypeError."""
    if not re.fullmatch("[0-9]{1,3}", written) or int(written) > VOLUME[1]:
        raise argparse.ArgumentTypeError(f"{written!r} is not a volume from {VOLUME[0]} to {VOLUME[1]}")
    return int(written)


def number(value: object, digits: int) -> str:
    """A number of an event or a row with so many digits after the point; empty if it is not a sensible number."""
    sensible = isinstance(value, (int, float)) and not isinstance(value, bool) and -_MOST < value < _MOST
    return f"{value:.{digits}f}" if sensible else ""


def why(data: Mapping[str, Any]) -> str:
    """What a final event gives as its reason, for a terminal; empty if it needs none."""
    for name in ("detail", "error", "by", "into", "of"):
        if data.get(name):
            return visible(f"into {data[name]}" if name == "into" else str(data[name]))
    return ""


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """For root: do as the user who owns a folder may.

    SQLite opens the files beside a queue for writing, also to read it, and follows links: root would write through one
    that the service's user had put there.
    """
    owner = folder.stat() if os.geteuid() == 0 and folder.exists() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups([owner.st_gid])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def told_if_unwritable(path: Path) -> Iterator[None]:
    """A disk may fill up meanwhile. Raises EngineError where it did."""
    try:
        yield
    except OSError as error:
        raise EngineError(f"{path} cannot be written ({error.strerror or error}); make room there") from error
