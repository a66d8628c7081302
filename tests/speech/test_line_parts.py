"""The language of each sentence decides which engine speaks it, and words of another language stay if they can."""

from __future__ import annotations

import pytest

from ishowtts.engines.candidates import EngineCandidate, UnavailableEngine
from ishowtts.errors import SynthesisError
from ishowtts.speech.line_parts import line_parts
from ishowtts.text.languages import language_runs

NOBODY = UnavailableEngine("this test speaks nothing")
F5 = EngineCandidate(NOBODY, "f5", languages=lambda: frozenset({"en", "zh"}), clones=True, mixes_languages=True)
HIBARI = EngineCandidate(NOBODY, "hibari", languages=lambda: frozenset({"en"}))
ESPEAK = EngineCandidate(NOBODY, "espeak", languages=lambda: frozenset({"en", "zh", "ru", "de"}), reads_latin=True)
ALL = (F5, HIBARI, ESPEAK)
NATURAL = (HIBARI, ESPEAK)
RUSSIAN, CHINESE, GERMAN = "Привет, как у тебя дела?", "你好吗？", "Wie geht es dir heute, mein lieber Freund?"


def parts_of(text: str, order: tuple[EngineCandidate, ...], position: int = 0) -> list[tuple[str, str, str]]:
    def choose(language: str) -> EngineCandidate:
        for candidate in order:
            if candidate.speaks(language):
                return candidate
        raise SynthesisError(f"nobody speaks {language}")

    parts = line_parts(text, language_runs(text, "en"), position, choose)
    assert [part.start for part in parts] == [position, *(part.end for part in parts[:-1])], "there are no gaps"
    assert parts[-1].end == len(text)
    return [(part.candidate.name, part.language, text[part.start : part.end].strip()) for part in parts]


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("Hello there. How are you?", ALL, [("f5", "en", "Hello there. How are you?")]),
        (f"Hello. {CHINESE} Bye.", ALL, [("f5", "en", f"Hello. {CHINESE} Bye.")]),
        (
            f"Hello. {CHINESE} Bye.",
            NATURAL,
            [("hibari", "en", "Hello."), ("espeak", "zh", CHINESE), ("hibari", "en", "Bye.")],
        ),
        (
            f"Hello there. {RUSSIAN} {GERMAN} Bye then.",
            ALL,
            [
                ("f5", "en", "Hello there."),
                ("espeak", "ru", RUSSIAN),
                ("espeak", "de", GERMAN),
                ("f5", "en", "Bye then."),
            ],
        ),
        ("I said 你好 to him.", ALL, [("f5", "en", "I said 你好 to him.")]),
        (
            "I said 你好 to him.",
            NATURAL,
            [("hibari", "en", "I said"), ("espeak", "zh", "你好"), ("hibari", "en", "to him.")],
        ),
        (
            "I said Привет to him.",
            ALL,
            [("f5", "en", "I said"), ("espeak", "ru", "Привет"), ("f5", "en", "to him.")],
        ),
        ("Мне нравится мой iPhone 15 очень.", NATURAL, [("espeak", "ru", "Мне нравится мой iPhone 15 очень.")]),
        ("我用iPhone打电话给你。", NATURAL, [("espeak", "zh", "我用iPhone打电话给你。")]),
        (
            "Мне нравится 北京 очень.",
            NATURAL,
            [("espeak", "ru", "Мне нравится"), ("espeak", "zh", "北京"), ("espeak", "ru", "очень.")],
        ),
        ("12345", NATURAL, [("hibari", "en", "12345")]),
        (f"{RUSSIAN} {RUSSIAN}", ALL, [("espeak", "ru", f"{RUSSIAN} {RUSSIAN}")]),
    ],
)
def test_each_part_goes_to_the_first_engine_that_speaks_its_language(
    text: str, order: tuple[EngineCandidate, ...], expected: list[tuple[str, str, str]]
) -> None:
    assert parts_of(text, order) == expected


def test_the_rest_of_a_text_keeps_the_languages_of_the_whole() -> None:
    text = f"Hello there. {GERMAN}"
    assert parts_of(text, NATURAL, text.index("mein")) == [("espeak", "de", "mein lieber Freund?")]


def test_a_language_that_nobody_speaks_is_the_error_of_the_caller() -> None:
    with pytest.raises(SynthesisError, match="nobody speaks el"):
        parts_of("Hello there. Καλημέρα, τι κάνεις σήμερα;", ALL)
