"""Reads the configuration for install.sh: one value, its faults, or what an upgrade changes.

Usage:
    config_file.py value FILE KEY              prints the value of KEY, as in board.jetson_stats; nothing if it has none
    config_file.py faults FILE                 prints why this version cannot use the file, one sentence a line
    config_file.py changes YOURS NEW [FORMER]  prints the keys that the new defaults add, change and remove
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

_MAX_NAMED = 20
_MAX_BYTES = 1 << 20
_MAX_KEYS = 10_000  # a few aliases in a few levels make millions


def read(path: str) -> dict[str, Any]:
    """Return the values of a file by their dotted keys; none of a file that is not YAML."""
    try:
        file = Path(path)
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:  # reading a pipe would never end
            return {}
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return flatten(content) if isinstance(content, dict) else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return {}


def flatten(content: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values by their dotted keys. A list, and a mapping that is empty, are values."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found |= flatten(value, f"{prefix}{key}.")
            if len(found) > _MAX_KEYS:
                raise ValueError("too many keys")
        else:
            found[f"{prefix}{key}"] = value
    return found


def written(value: object) -> str:
    """Return a value as YAML has it on one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("\n...\n").strip()
    )


def is_known(key: str, keys: dict[str, Any]) -> bool:
    """Return whether a key is one of these, or is below one, or has some below it."""
    return any(key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.") for other in keys)


def changes(yours: dict[str, Any], new: dict[str, Any], former: dict[str, Any] | None) -> list[str]:
    """Return one sentence for each kind of change that concerns the operator.

    Args:
        yours: The operator's file.
        new: The new defaults.
        former: The defaults of the version before; `None` if unknown.
    """
    added = [key for key in new if not is_known(key, yours)]
    if former is not None:
        added = [key for key in added if not is_known(key, former)]
    elif 2 * len(added) > len(new):  # a file with a few keys only does not tell which ones its author knew
        added = []
    changed = [
        f"{key} ({written(value)}, was {written(former[key])})"
        for key, value in new.items()
        if former is not None and key in former and former[key] != value and yours.get(key, former[key]) == former[key]
    ]
    removed = [key for key in yours if not is_known(key, new)]
    lists = {
        "new keys": [f"{key} ({written(new[key])})" for key in added],
        "keys with another default": changed,
        "keys that this version does not know": removed,
    }
    return [f"{kind}: {named(keys)}" for kind, keys in lists.items() if keys]


def named(keys: list[str]) -> str:
    """Return the keys, the first of many."""
    more = f" and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
    return ", ".join(keys[:_MAX_NAMED]) + more


def faults(file: str) -> list[str]:
    """Return why the program of this Python cannot use a file; files that it names may come later."""
    from ishowtts.config import parse
    from ishowtts.errors import ConfigError

    try:
        parse(Path(file).read_text(encoding="utf-8"), file)
    except ConfigError as error:
        return error.problems
    except (OSError, UnicodeDecodeError) as error:
        return [f"{file}: {error}"]
    return []


def print_lines(lines: list[str]) -> None:
    """Print each line."""
    for line in lines:
        print(line)


def main(arguments: list[str]) -> None:
    """Print what was asked for."""
    match arguments:
        case ["value", file, key]:
            found = read(file)
            if key in found:
                print(written(found[key]))
        case ["faults", file]:
            print_lines(faults(file))
        case ["changes", yours, new]:
            print_lines(changes(read(yours), read(new), None))
        case ["changes", yours, new, former]:
            print_lines(changes(read(yours), read(new), read(former)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
