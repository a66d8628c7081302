"""A file of words, one a line."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ishowtts.errors import ConfigError

_MOST_BYTES = 1 << 18
_MOST_WORDS = 10_000
_MOST_CHARS = 64


def version(path: Path) -> str:
    """Another one whenever the file is; it need not be there."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        return str(error)
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def read_words(path: Path) -> list[str]:
    """The words of a file in UTF-8; empty lines and those that start with `#` are none.

    Raises:
        ConfigError: with one sentence.
    """
    text = _text(path)
    words: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if len(word) > _MOST_CHARS:
            raise ConfigError(
                [f"{path}:{number}: has {len(word)} characters; write one word a line, {_MOST_CHARS} at most"]
            )
        words.append(word)
    if len(words) > _MOST_WORDS:
        raise ConfigError([f"{path}: holds {len(words)} words; {_MOST_WORDS} at most are looked for"])
    return words


def _text(path: Path) -> str:
    try:
        # Not blocking: a pipe without a writer would keep every line waiting.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise ConfigError([f"{path}: is no ordinary file; put one in its place"])
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ConfigError([f"{path}: is larger than {_MOST_BYTES // 1024} KiB; keep fewer words in it"])
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); mend its path or permissions"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8"]) from error
    except ValueError as error:
        raise ConfigError([f"{path}: cannot be read ({error}); mend its path"]) from error
