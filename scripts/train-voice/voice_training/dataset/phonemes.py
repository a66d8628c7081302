"""Converts text to the phoneme symbols of Kokoro: English by espeak-ng, Mandarin by pinyin."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ishowtts.errors import SynthesisError
from voice_training.dataset.pinyin import HAN, syllable_phonemes, syllables

MAX_TEXT_CHARS = 600
_DEADLINE_S = 120.0
_MAX_CLAUSE_CHARS = 300  # espeak-ng splits a longer clause
_MARKS = ",.;:!?…—，。、；：！？"
_PLAIN = str.maketrans("，、。；：！？", ",,.;:!?")
_PARTS = re.compile(rf"(?P<mandarin>[{HAN}]+)|(?P<marks>[{_MARKS}]+)|(?P<english>[^{_MARKS}{HAN}]+)")
_UNSPOKEN = re.compile(r"[^\w'’-]|_")
# Output of espeak-ng 1.51 for en-us, with ^ as the tie, and Kokoro's symbols for it. Applied in this order.
_ESPEAK_TO_KOKORO = (
    ("ʔˌn\u0329", "ʔn"),
    ("ʔn\u0329", "ʔn"),
    ("ə^l", "ᵊl"),
    ("a^ɪ", "I"),
    ("a^ʊ", "W"),
    ("d^ʒ", "ʤ"),
    ("e^ɪ", "A"),
    ("t^ʃ", "ʧ"),
    ("ɔ^ɪ", "Y"),
    ("o^ʊ", "O"),
    ("ʲo", "jo"),
    ("ʲə", "jə"),
    ("ʲ", ""),
    ("ɚ", "əɹ"),
    ("e", "A"),
    ("r", "ɹ"),
    ("x", "k"),
    ("ç", "k"),
    ("ɐ", "ə"),
    ("ɬ", "l"),
    ("\u0303", ""),
    ("ɜːɹ", "ɜɹ"),
    ("ɜː", "ɜɹ"),
    ("ɪə", "iə"),
    ("ː", ""),
    ("o", "ɔ"),
    ("ɾ", "T"),
    ("ʔ", "t"),
    ("^", ""),
)


def phonemes(texts: Sequence[str]) -> list[str]:
    """Convert each text to Kokoro's phoneme symbols. Punctuation stays, because it shapes the intonation.

    One process of espeak-ng handles all texts and takes 3.5 ms for each. A process for each text would take 18 ms.
    Han characters are read as Mandarin, everything else as English.

    Raises:
        SynthesisError: a text is too long or has nothing to say, or espeak-ng failed.
    """
    parts = [_parts(text) for text in texts]
    english = iter(_english([part.text for found in parts for part in found if part.kind == "english"]))
    return [_join(found, english) for found in parts]


class _Part(NamedTuple):
    kind: str
    text: str


def _parts(text: str) -> list[_Part]:
    """Split a text into runs of Han characters, runs of English, and punctuation."""
    if len(text) > MAX_TEXT_CHARS:
        raise SynthesisError(f"a text of {len(text)} characters is too long; at most {MAX_TEXT_CHARS} can be spoken")
    found = []
    for match in _PARTS.finditer(text):
        kind, part = str(match.lastgroup), match[0]
        if kind == "english":
            part = " ".join(_UNSPOKEN.sub(" ", part).split())
            if len(part) > _MAX_CLAUSE_CHARS:
                raise SynthesisError(
                    f"more than {_MAX_CLAUSE_CHARS} characters without punctuation start at {part[:40]!r}"
                )
        if kind == "marks" or any(character.isalnum() for character in part):
            found.append(_Part(kind, part))
    if all(part.kind == "marks" for part in found):
        raise SynthesisError(f"there is nothing to say in {text[:40]!r}")
    return found


def _join(parts: Sequence[_Part], english: Iterator[str]) -> str:
    symbols = ""
    for part in parts:
        if part.kind == "marks":
            symbols = symbols.rstrip() + _strongest_mark(part.text) + " "
        elif part.kind == "english":
            symbols += next(english) + " "
        else:
            symbols += " ".join("".join(map(syllable_phonemes, word)) for word in syllables(part.text)) + " "
    return symbols.strip()


def _strongest_mark(marks: str) -> str:
    """Reduce several punctuation marks to the strongest one."""
    plain = marks.translate(_PLAIN)
    return next((mark for mark in "?!" if mark in plain), "…" if "..." in plain else plain[0])


def _english(clauses: Sequence[str]) -> list[str]:
    """Convert clauses to Kokoro's symbols. espeak-ng reads and writes one clause on each line."""
    if not clauses:
        return []
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", "en-us"]
    try:
        done = subprocess.run(
            command, input="\n".join(clauses), capture_output=True, encoding="utf-8", timeout=_DEADLINE_S, check=True
        )
    except FileNotFoundError as error:
        raise SynthesisError("espeak-ng is not installed; install the package espeak-ng") from error
    except (subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise SynthesisError(f"espeak-ng gave no phonemes: {error}") from error
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if len(lines) != len(clauses):
        raise SynthesisError(f"espeak-ng made {len(lines)} clauses of {len(clauses)}, one of them {clauses[0][:40]!r}")
    return [_to_kokoro(line.strip()) for line in lines]


def _to_kokoro(ipa: str) -> str:
    """Convert IPA of espeak-ng to Kokoro's symbols. Drops language marks such as (fr)."""
    ipa = re.sub(r"\([a-z-]+\)", "", ipa)
    for written, letter in _ESPEAK_TO_KOKORO:
        ipa = ipa.replace(written, letter)
    return re.sub(r"(\S)\u0329", r"ᵊ\1", ipa)
