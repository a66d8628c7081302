"""Letters that a vocabulary lacks are counted. The figures of the official one are those of docs/f5.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.engines.f5.vocabulary import LetterCount, read_vocab, unknown_letters

pytestmark = pytest.mark.f5


@pytest.mark.parametrize(
    ("text", "letters", "unknown"),
    [
        ("Hello there, 12!", 10, 0),
        ("今天天气很好", 6, 0),
        ("Привет, мир", 9, 0),
        ("Γειά σου", 7, 1),
        ("سلام عليكم", 9, 1),
        ("ذهب خالد إلى السوق", 15, 6),
        ("สวัสดีครับ", 7, 3),
        ("שלום", 4, 0),
        ("नमस्ते", 4, 4),
        ("ქართული", 7, 7),
        ("42 ... 😀", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_official_vocabulary_lacks_letters_of_some_scripts(
    tiny_checkpoint: Path, text: str, letters: int, unknown: int
) -> None:
    vocab = read_vocab(tiny_checkpoint / "vocab.txt")
    assert unknown_letters(text, vocab) == LetterCount(letters, unknown)


@pytest.mark.parametrize(
    ("text", "letters", "unknown"), [("नमस्ते", 4, 0), ("hi नमस्ते", 6, 2), ("你好", 2, 2), ("مرحبا", 5, 5)]
)
def test_a_vocabulary_without_syllables_lacks_chinese(
    hindi_checkpoint: Path, text: str, letters: int, unknown: int
) -> None:
    vocab = read_vocab(hindi_checkpoint / "vocab.txt")
    assert unknown_letters(text, vocab) == LetterCount(letters, unknown)


@pytest.mark.parametrize(("letters", "unknown", "mostly"), [(0, 0, False), (4, 2, False), (4, 3, True), (1, 1, True)])
def test_more_than_half_is_mostly(letters: int, unknown: int, mostly: bool) -> None:
    assert LetterCount(letters, unknown).mostly_unknown is mostly
