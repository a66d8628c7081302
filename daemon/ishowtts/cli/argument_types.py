"""Argument types for argparse: each converts a word to a value, or raises one sentence that says what is wrong."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

_MAX_WAIT_S = 86_400


def output_file(word: str) -> Path:
    """A file that will be written. It is checked before the work starts."""
    path = Path(word)
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} is not a regular file; name another one")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.absolute().parent} is not a folder; name a file in an existing folder")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path} cannot be written by this user; name another file")
    return path


def existing_file(word: str) -> Path:
    """An existing regular file. A pipe is refused, since reading it might never end."""
    path = Path(word)
    if not path.is_file():
        raise argparse.ArgumentTypeError(
            f"{path} is {'not a regular file' if path.exists() else 'missing'}; name an existing file"
        )
    return path


def wait_time(word: str) -> float:
    """A time to wait, in seconds, of at most one day."""
    try:
        wait_s = float(word)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= _MAX_WAIT_S:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds from 0 to {_MAX_WAIT_S}")
    return wait_s
