"""Reads, copies and renames the file of the queue, for install.sh, which runs this as the user of the service.

Usage: queue_file.py version FILE | copy FILE TARGET | move FILE TARGET
"""

from __future__ import annotations

import os
import sqlite3
import sys
import urllib.parse
from pathlib import Path


def version(file: Path) -> int:
    """Version of the tables (`PRAGMA user_version`)."""
    connection = sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True, timeout=10)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def copy(file: Path, target: Path) -> None:
    """Copies the file, as of one moment, to a target that is complete or missing."""
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True, timeout=10)
    copied = sqlite3.connect(partial)
    try:
        source.backup(copied)
    finally:
        copied.close()
        source.close()
    sync(partial)
    partial.rename(target)
    sync(target.parent)


def move(file: Path, target: Path) -> None:
    """Renames the file after its last lines are in it. No program may have it open."""
    try:
        connection = sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True, timeout=10)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    except sqlite3.Error:
        pass  # a damaged file keeps its -wal file, below
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{file}{suffix}")
        if os.path.lexists(part):
            part.rename(f"{target}{suffix}")
    sync(target.parent)


def quoted(file: Path) -> str:
    """Path as a part of a URI."""
    return urllib.parse.quote(str(file))


def sync(place: Path) -> None:
    """Writes a file or a folder to the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(words: list[str]) -> int:
    """Runs one command; a fault is one sentence and exit status 1."""
    try:
        match words:
            case ["version", file]:
                print(version(Path(file)))
            case ["copy", file, target]:
                copy(Path(file), Path(target))
            case ["move", file, target]:
                move(Path(file), Path(target))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (OSError, sqlite3.Error) as error:
        print(f"the queue's file: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
