"""Is it slower than it was? Against a saved summary of `speed`, by figures that do not depend on the machine's mood."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ishowtts.errors import ConfigError

WORSE_BY = 0.10
_MOST_CHARS = 1 << 20
_JUDGED = ("ratio_equal_nfe", "fraction_of_floor")
_SAME = ("model", "precision", "nfe_step", "threads")


@dataclass(frozen=True)
class Change:
    """A figure now and then; larger is better."""

    name: str
    then: float
    now: float

    @property
    def worse(self) -> bool:
        """Whether it fell by more than a tenth."""
        return self.now < self.then * (1 - WORSE_BY)


def read(path: Path) -> dict[str, Any]:
    """A saved summary. Raises ConfigError where it is none."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(_MOST_CHARS))
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); name a baseline"]) from error
    except ValueError as error:
        raise ConfigError([f"{path} is no baseline; `ishowtts bench speed --save` makes one"]) from error
    if not isinstance(content, dict) or not all(isinstance(content.get(name), (int, float)) for name in _JUDGED):
        raise ConfigError([f"{path} is no summary of `ishowtts bench speed`; make it anew with --save"])
    return content


def compare(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Each judged figure. Raises ConfigError where the two did not run the same thing."""
    for name in _SAME:
        if then.get(name) != now.get(name):
            raise ConfigError(
                [f"the baseline was made with {name} {then.get(name)!r}, this run with {now.get(name)!r}: "
                 "give the same options, or make the baseline anew"]
            )  # fmt: skip
    return [Change(name, float(then[name]), float(now[name])) for name in _JUDGED]
