"""Removes entries from a lock file in requirements format; reads standard input, writes standard output.

`without-entries-of LOCK` removes the entries that LOCK pins at the same version.
`without-names PATTERN…` removes entries by name, as in `nvidia-cu*`.
"""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch
from pathlib import Path


def entries(lock: str) -> list[str]:
    """Returns each entry of a lock file: the requirement line with its hash lines."""
    return re.findall(r"^[A-Za-z0-9][^\n]*\n(?:[ \t]+[^\n]*\n)*", lock, flags=re.MULTILINE)


def name_of(entry: str) -> str:
    """Returns the name of the package that an entry pins."""
    return re.split(r"[=\s;\[]", entry, maxsplit=1)[0].lower()


def pin_of(entry: str) -> str:
    """Returns name and version of an entry, such as `numpy==2.4.6`."""
    return entry.split(maxsplit=1)[0].lower()


def main() -> int:
    """Returns the exit status: 0, or 2 for wrong usage."""
    lock = sys.stdin.read()
    match sys.argv[1:]:
        case ["without-entries-of", other]:
            pinned = {pin_of(entry) for entry in entries(Path(other).read_text(encoding="utf-8"))}
            kept = [entry for entry in entries(lock) if pin_of(entry) not in pinned]
        case ["without-names", *patterns] if patterns:
            kept = [e for e in entries(lock) if not any(fnmatch(name_of(e), p) for p in patterns)]
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    sys.stdout.write("".join(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
