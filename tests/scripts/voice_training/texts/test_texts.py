from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest
from pypinyin import Style, lazy_pinyin

from ishowtts.text.reader import TextReader
from voice_training import texts
from voice_training.dataset.pinyin import syllables
from voice_training.texts import english, english_numbers, mandarin, mandarin_numbers
from voice_training.texts.grammar import FOLDER, Grammar
from voice_training.texts.seeded_random import seeded_random

LANGUAGES: tuple[texts.Language, ...] = ("en", "zh")
NUMBERS = (0, 1, 2, 7, 10, 11, 12, 19, 20, 21, 30, 99, 100, 101, 110, 115, 120, 200, 212, 999, 1000, 1001, 1010, 1020,
           1100, 1234, 2000, 5005, 9999, 10000, 10001, 10010, 10100, 12345, 20000, 110000, 123456, 100001, 1000000,
           1002003, 9999999)  # fmt: skip


def generated(language: texts.Language, count: int, seed: int = 0) -> list[str]:
    return list(islice(texts.sentences(language, seed), count))


@pytest.mark.parametrize("language", LANGUAGES)
class TestSentences:
    def test_sentences_depend_on_the_seed(self, language: texts.Language) -> None:
        assert generated(language, 40, 1) == generated(language, 40, 1)
        assert set(generated(language, 40, 1)) != set(generated(language, 40, 2))

    def test_sentences_are_varied(self, language: texts.Language) -> None:
        assert len(set(generated(language, 2000))) > 1850

    def test_sentences_have_no_digits_and_no_template_syntax(self, language: texts.Language) -> None:
        assert not [
            sentence
            for sentence in generated(language, 4000)
            if re.search(r"[0-9{}()|/\[\]]|  |\A\W*\Z| [.,!?;:]", sentence)
        ]

    def test_sentences_are_short_and_long_but_never_too_long(self, language: texts.Language) -> None:
        lengths = [len(sentence) for sentence in generated(language, 3000)]
        short, long = {"en": (12, 200), "zh": (4, 50)}[language]
        assert sum(length <= short for length in lengths) > 150
        assert sum(length >= long for length in lengths) > 60
        assert max(lengths) <= texts.MAX_CHARS[language]

    def test_commas_questions_and_exclamations_occur(self, language: texts.Language) -> None:
        sentences = generated(language, 1000)
        for marks in (",，", "?？", "!！"):
            assert sum(any(mark in sentence for mark in marks) for sentence in sentences) > 30

    def test_no_sentence_is_held_out(self, language: texts.Language, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hold out the sentence that would come first, with a different mark."""
        first, second = generated(language, 2)
        assert not set(generated(language, 3000)) & set(texts.held_out(language, 100))
        kept = (f"{first[:-1]}!", *texts.held_out(language, 3))
        monkeypatch.setattr(texts, "lines", lambda *_: kept)
        assert generated(language, 1) == [second]

    def test_at_least_a_hundred_different_sentences_are_held_out(self, language: texts.Language) -> None:
        assert len(set(texts.held_out(language, 110))) == 110
        with pytest.raises(ValueError, match="are held out"):
            texts.held_out(language, 1000)

    def test_every_template_can_be_filled(self, language: texts.Language) -> None:
        grammar = {"en": english, "zh": mandarin}[language]._GRAMMAR
        files = sorted((FOLDER / language / "sentences").glob("*.txt"))
        assert {file.stem for file in files} == set({"en": english, "zh": mandarin}[language]._TOPICS)
        rng = seeded_random("every template")
        for file in files:
            for template in file.read_text(encoding="utf-8").splitlines():
                for _ in range(12):
                    sentence = grammar.fill(rng, template)
                    assert not re.search(r"[{}()|/]", sentence), f"{template} -> {sentence}"
                    assert re.search(r"[.!?。！？]\W?$", sentence), f"{template} -> {sentence}"


def test_thousands_of_english_words_occur() -> None:
    found = {word for sentence in generated("en", 6000) for word in re.findall(r"[a-z]+", sentence.lower())}
    assert len(found) > 3500


def level_one() -> set[str]:
    """Level one of GB 2312: the 3,755 most common characters."""
    return {
        bytes((0xA0 + row, 0xA0 + place)).decode("gb2312")
        for row in range(16, 56)
        for place in range(1, 95)
        if row < 55 or place < 90
    }


@pytest.fixture(scope="module")
def mandarin_sentences() -> list[str]:
    return generated("zh", 6000)


def test_most_common_mandarin_characters_occur(mandarin_sentences: list[str]) -> None:
    found = {character for sentence in mandarin_sentences for character in sentence}
    assert len(level_one() & found) > 2800


def test_nearly_all_mandarin_syllables_occur_in_all_their_tones(mandarin_sentences: list[str]) -> None:
    """The syllables of the common characters, read alone. A few occur only in words that nobody uses."""
    of_characters = {lazy_pinyin(character, style=Style.TONE3)[0] for character in level_one()}
    found = {syllable for sentence in mandarin_sentences for word in syllables(sentence) for syllable in word}
    assert len(of_characters) > 1000
    assert len(of_characters & found) > 0.96 * len(of_characters)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(None, lambda voice: voice)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_equal_the_text_normalisation(reader: TextReader, number: int) -> None:
    grouped = f"{number:,}"  # a quantity, not a year
    assert english_numbers.cardinal(number) == reader.read(grouped, "en")
    assert mandarin_numbers.cardinal(number) == reader.read(f"共{number}个", "zh")[1:-1].replace("两", "二")


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 9, 12, 20, 21, 22, 31, 40, 99])
def test_ordinals_equal_the_text_normalisation(reader: TextReader, number: int) -> None:
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    assert english_numbers.ordinal(number) == reader.read(f"the {number}{ending} door", "en")[4:-5]


def test_a_template_that_contains_itself_is_refused() -> None:
    grammar = Grammar({"again": ["{again}"]}, {}, {}, str)
    with pytest.raises(ValueError, match="no end"):
        grammar.fill(seeded_random("x"), "{again}")


def test_no_list_has_a_word_twice() -> None:
    for file in sorted(Path(FOLDER).glob("*/*.txt")):
        if file.stem in ("held-out", "others"):
            continue
        entries = file.read_text(encoding="utf-8").split()
        assert not {entry for entry in entries if entries.count(entry) > 1}, file.name
