"""What the daemon knows of the package hibari-tts without importing it: whether it is installed, and its options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from importlib import util
from typing import Any

from ishowtts.errors import EngineError

VOICE = "heart"
LICENCE = "Apache-2.0"  # of the package and of the weights in it
_PACKAGES = {"hibari": "hibari-tts", "onnxruntime": "onnxruntime"}  # by the name that is imported


def missing_package() -> str | None:
    """Returns why the natural voice cannot speak here, with the fix; `None` if its packages are installed."""
    missing = [package for module, package in _PACKAGES.items() if util.find_spec(module) is None]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return f"the natural voice needs {' and '.join(missing)}, which {verb} not installed; run install.sh again"


@dataclass(frozen=True)
class HibariOptions:
    """Options of the hibari engine. They cross to the worker as JSON.

    Args:
        cache_dir: folder of the daemon's caches; the package gets an empty folder in it for what it would download.
            `None`: it gets a folder that cannot exist.
    """

    cache_dir: str | None = None

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> HibariOptions:
        """Reads what `to_dict` returned. Raises EngineError if an option does not exist."""
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(options) - known):
            raise EngineError(f"the hibari engine has no option {unknown[0]!r}; it has {', '.join(sorted(known))}")
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Returns the options as JSON takes them."""
        return asdict(self)
