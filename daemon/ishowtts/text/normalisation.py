"""Text normalisation: numbers, units, times, money and symbols in words, in English and Chinese.

The reading rules of a language come first. What they leave in figures is read by wetext, the runtime of
WeTextProcessing's grammars, which is loaded when it is first needed.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any, Literal

from ishowtts.errors import first_line
from ishowtts.text.chinese import chinese
from ishowtts.text.english import english
from ishowtts.text.number_formats import Decimal, with_chinese_formats
from ishowtts.text.segmentation import MAX_CHUNK_CHARS, chunks
from ishowtts.util.logs import Untrusted

log = logging.getLogger(__name__)

_MAX_CHARS = 20_000  # a quarter of an hour of speech; what follows is spoken as it is written
_EDGES = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)
_MAX_NUMBER_CHARS = 80  # time grows with the length, by 0.2 to 0.5 ms a character, and memory by up to 20 KB
_lock = threading.Lock()
_grammars: dict[str, Callable[[str], str]] | None = None
_fault: str | None = None


def normalise(text: str, language: str, decimal: Decimal | None = None) -> str:
    """Text with every known written form in words. Never raises.

    Args:
        text: Clean text, all of it in one language.
        language: `en` or `zh`; in any other the text is returned unchanged.
        decimal: How `1.234` and `1,234` are meant in English; `None`: as other numbers of the text show, else as in
            English.

    Returns:
        The text to speak. An unknown form stays as it is, and so does everything after the first 20,000 characters
        and in a single word longer than 400.
    """
    read_aloud = _LANGUAGES.get(language)
    if read_aloud is None:
        return text
    parts = []
    for start, end in chunks(text[:_MAX_CHARS]):
        chunk = text[start:end]
        edges = _EDGES.match(chunk)
        if len(chunk) > MAX_CHUNK_CHARS or edges is None or not edges[2]:
            parts.append(chunk)
        else:
            parts.append(edges[1] + read_aloud(edges[2], decimal).strip() + edges[3])
    return "".join(parts) + text[_MAX_CHARS:]


def load_grammars() -> None:
    """Load the grammars now. Takes a quarter of a second, and about 45 MB as long as the process lives."""
    _loaded()


def grammar_fault() -> str | None:
    """Why the grammars cannot be used, in one sentence; `None` if they can, or if nobody has needed them yet."""
    return _fault


@lru_cache(maxsize=2048)
def number_to_words(text: str, language: Literal["en", "zh"]) -> str:
    """The words of a short text in figures; the text itself if the grammars cannot read it."""
    grammar = _loaded().get(language)
    if grammar is None or not text or len(text) > _MAX_NUMBER_CHARS:
        return text
    try:
        words = grammar(text)
    except Exception as error:  # it asserts on what its grammars do not know, and documents no exceptions
        log.debug("wetext cannot read %r in %s: %r", Untrusted(text), language, error)
        return text
    return words or text


def _loaded() -> dict[str, Callable[[str], str]]:
    global _grammars  # noqa: PLW0603 - all readers share the grammars
    with _lock:
        if _grammars is None:
            _grammars = _load()
        return _grammars


def _load() -> dict[str, Callable[[str], str]]:
    global _fault  # noqa: PLW0603 - as the grammars
    try:
        import kaldifst

        read = kaldifst.TextNormalizer
        kaldifst.TextNormalizer = _when_used(read)
        try:
            import wetext
        finally:
            kaldifst.TextNormalizer = read
        normalizers: dict[str, Any] = {name: wetext.Normalizer(lang=name, operator="tn") for name in ("en", "zh")}
        for normalizer in normalizers.values():
            normalizer.normalize("1")  # reads its grammars now
    except Exception as error:  # a broken package must not silence the appliance
        _fault = f"numbers are not read out: wetext cannot be loaded ({first_line(error)}); run install.sh again"
        log.error("%s", _fault)
        return {}
    return {name: normalizer.normalize for name, normalizer in normalizers.items()}


def _when_used(read: Callable[[str], Callable[[str], str]]) -> Callable[[str], Callable[[str], str]]:
    """Puts off the reading of a grammar to its first use: wetext's import reads 20, and only 4 are used here."""

    def later(path: str) -> Callable[[str], str]:
        grammar = cache(partial(read, path))

        def apply(text: str) -> str:
            return grammar()(text)

        return apply

    return later


_LANGUAGES: dict[str, Callable[[str, Decimal | None], str]] = {
    "en": lambda text, decimal: english(text, lambda figures: number_to_words(figures, "en"), decimal),
    "zh": lambda text, _: chinese(with_chinese_formats(text), lambda figures: number_to_words(figures, "zh")),
}
