"""Files of JSON that another process reads while they are written anew."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: Any) -> None:
    """Replace a file of JSON at once, so that a reader never finds half of it. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(content) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def read_json(path: Path, max_bytes: int) -> Any:
    """Read a file of JSON; `None` if it is missing, larger than `max_bytes`, or half written."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        return json.loads(content) if len(content) <= max_bytes else None
    except (OSError, ValueError, RecursionError):
        return None
