"""Converts Mandarin to the phoneme symbols of Kokoro, by pinyin as upstream's tokenizer has it."""

from __future__ import annotations

from functools import lru_cache

import rjieba
from pypinyin import Style, lazy_pinyin
from pypinyin.contrib.tone_convert import to_finals, to_initials, to_normal

from ishowtts.errors import SynthesisError

HAN = "\u3400-\u4dbf\u4e00-\u9fff"  # inside the brackets of a regular expression
# Kokoro's symbols, as in the table of misaki's Mandarin, which follows pinyin-to-ipa (MIT).
_INITIALS = {
    "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x",
    "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
    "": "",
}  # fmt: skip
# A 0 is the place of the tone, after the vowel.
_FINALS = {
    "a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n",
    "eng": "ə0ŋ", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0", "ie": "je0", "in": "i0n",
    "iou": "jou0", "ing": "i0ŋ", "iong": "jʊ0ŋ", "ong": "ʊ0ŋ", "ou": "ou0", "u": "u0", "uei": "wei0", "ua": "wa0",
    "uai": "wai0", "uan": "wa0n", "uen": "wə0n", "uang": "wa0ŋ", "ueng": "wə0ŋ", "uo": "wo0", "o": "wo0",
    "ü": "y0", "üe": "ɥe0", "üan": "ɥɛ0n", "ün": "y0n",
}  # fmt: skip
_WHOLE = {"er": "ɚ0", "o": "ɔ0", "ê": "ɛ0", "yo": "jɔ0", "m": "m0", "n": "n0", "ng": "ŋ0", "hm": "hm0", "hng": "hŋ0"}
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}


def syllables(han: str) -> list[list[str]]:
    """Split Han characters into words of pinyin syllables with the digit of the tone; 5 is the neutral tone.

    Word boundaries and tone sandhi equal those of upstream's tokenizer, so that sound and tokens agree.
    """
    return [
        lazy_pinyin(word, style=Style.TONE3, tone_sandhi=True, neutral_tone_with_five=True) for word in rjieba.cut(han)
    ]


@lru_cache(4096)
def syllable_phonemes(syllable: str) -> str:
    """Convert a syllable to Kokoro's symbols, such as `zhong1` to `ꭧʊ→ŋ`.

    Raises:
        SynthesisError: this is not a syllable of Mandarin.
    """
    tone = _TONES.get(syllable[-1:], "")
    bare = to_normal(syllable, v_to_u=True)
    if bare in _WHOLE:
        return _WHOLE[bare].replace("0", tone)
    initial, final = to_initials(syllable, strict=True), to_finals(syllable, strict=True, v_to_u=True)
    if initial not in _INITIALS or final not in _FINALS:
        raise SynthesisError(f"{syllable!r} is not a syllable of Mandarin")
    # Pinyin writes the vowels of zhi and zi as i too.
    buzzed = final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s")
    return _INITIALS[initial] + ("ɨ0" if buzzed else _FINALS[final]).replace("0", tone)
