"""The library that knows numbers: wetext, the runtime of WeTextProcessing's grammars. Loaded when first needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from ishowtts.errors import first_line
from ishowtts.util.logs import Untrusted

_log = logging.getLogger(__name__)
_MOST_CHARS = 80  # time grows with the length, by 0.2 to 0.5 ms a character, and memory by up to 20 KB
_lock = threading.Lock()
_normalizers: dict[str, Callable[[str], str]] | None = None
_fault: str | None = None


def load() -> None:
    """Load the grammars now: half a second, and about 45 MB for good."""
    _loaded()


def fault() -> str | None:
    """Why the grammars are not there, in one sentence; `None` while all is well, or nobody has asked for them yet."""
    return _fault


@lru_cache(maxsize=2048)
def read(text: str, language: Literal["en", "zh"]) -> str:
    """A short text with what stands in figures in words; the same again where the library cannot read it."""
    normalize = _loaded().get(language)
    if normalize is None or not text or len(text) > _MOST_CHARS:
        return text
    try:
        said = normalize(text)
    except Exception as error:  # it asserts on what its grammars do not know, and promises no exceptions
        _log.debug("wetext cannot read %r in %s: %r", Untrusted(text), language, error)
        return text
    return said or text


def _loaded() -> dict[str, Callable[[str], str]]:
    global _normalizers  # noqa: PLW0603 - the grammars are as good for one reader as for the next
    with _lock:
        if _normalizers is None:
            _normalizers = _load()
        return _normalizers


def _load() -> dict[str, Callable[[str], str]]:
    global _fault  # noqa: PLW0603 - as the grammars
    try:
        import wetext

        normalizers: dict[str, Any] = {name: wetext.Normalizer(lang=name, operator="tn") for name in ("en", "zh")}
    except Exception as error:  # a broken package must not make the appliance mute
        _fault = f"numbers are not read out: wetext cannot be loaded ({first_line(error)}); run install.sh again"
        _log.error("%s", _fault)
        return {}
    return {name: normalizer.normalize for name, normalizer in normalizers.items()}
