"""Finds a loss of speed, by comparing with a saved summary of `speed`. It compares ratios, which vary little."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ishowtts.errors import ConfigError

WORSE_BY = 0.10
_MOST_CHARS = 1 << 20
_MAX_RATIO = 1e6
_COMPARED = ("ratio_equal_nfe", "fraction_of_floor")
MUST_MATCH = ("model", "precision", "nfe_step", "threads")


@dataclass(frozen=True)
class Change:
    """A figure in the baseline and now. Larger is better."""

    name: str
    then: float
    now: float

    @property
    def worse(self) -> bool:
        """Whether it fell by more than a tenth."""
        return self.now < self.then * (1 - WORSE_BY)


def read(path: Path) -> dict[str, Any]:
    """Read a saved summary. Raises ConfigError if the file is not one, or was measured wrong."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.loads(file.read(_MOST_CHARS))
    except OSError as error:
        raise ConfigError([f"{path} cannot be read ({error.strerror}); name a baseline"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path} is not a baseline; `ishowtts bench speed --save` makes one"]) from error
    if not isinstance(content, dict) or not all(_is_ratio(content.get(name)) for name in _COMPARED):
        raise ConfigError([f"{path} is not a summary of `ishowtts bench speed`; make it again with --save"])
    if fault := content.get("measure_fault"):
        raise ConfigError([f"{path} is not a baseline, because its measurement is faulty: {fault}"])
    return content


def _is_ratio(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _MAX_RATIO


def compare(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Compare the figures. Raises ConfigError if the two runs had different options."""
    check_options(then, {name: now.get(name) for name in MUST_MATCH})
    return [Change(name, float(then[name]), float(now[name])) for name in _COMPARED]


def check_options(then: dict[str, Any], options: dict[str, Any]) -> None:
    """Compare the options of a run, by the names of `MUST_MATCH`. Raises ConfigError if the baseline has others."""
    for name, value in options.items():
        if then.get(name) != value:
            raise ConfigError(
                [f"the baseline was made with {name} {then.get(name)!r}, this run with {value!r}: "
                 "give the same options, or make the baseline again"]
            )  # fmt: skip
