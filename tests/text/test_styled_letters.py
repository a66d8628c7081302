"""fold_styled: letters and digits in other shapes become plain ones, for the policies and for speech alike."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import config
from ishowtts.model import Line, Rejection
from ishowtts.policies import Policies
from ishowtts.policies.text_edits import visible_text
from ishowtts.text import clean
from ishowtts.text.styled_letters import STYLED_LETTERS, fold_styled

CASES = [
    ("𝐛𝐨𝐥𝐝 𝘪𝘵𝘢𝘭𝘪𝘤 𝓼𝓬𝓻𝓲𝓹𝓽", "bold italic script"),
    ("𝔣𝔯𝔞𝔨𝔱𝔲𝔯 𝕕𝕠𝕦𝕓𝕝𝕖 𝚖𝚘𝚗𝚘", "fraktur double mono"),
    ("ℌ𝔢𝔩𝔩𝔬 ℝ", "Hello R"),
    ("ⓗⓔⓛⓛⓞ ⒽⒾ", "hello HI"),
    ("⒣⒤ 🄗🄘", "hi HI"),
    ("🄷🄴🄻🄻🄾", "HELLO"),
    ("🅗🅔🅛🅛🅞", "HELLO"),
    ("🅷🅴🅻🅻🅾", "HELLO"),
    ("🅰\ufe0f🅱\ufe0f", "AB"),
    ("🇭🇪🇱🇱🇴", "HELLO"),
    ("🇭 🇮", "H I"),
    ("ᴛʜɪs ɪs ꜱᴍᴀʟʟ", "this is small"),
    ("ˢᵘᵖᵉʳ ⁿᵉʷ", "super new"),
    ("ﬁne ｗｉｄｅ １２", "fine wide 12"),
    ("𝟛 𝟏𝟐 ③", "3 12 3"),
    ("①②③", "1 2 3"),
    ("5①", "5 1"),
    ("５① 𝟓② ٥③", "5 1 5 2 ٥ 3"),
    ("①Milk ②Eggs", "1 Milk 2 Eggs"),
    ("⑩ ⓪ ❶ ➂ ⓫ ㉑ ㊱", "10 0 1 3 11 21 36"),
    ("H₂O and CO₂", "H2O and CO2"),
    ("1ˢᵗ 2ⁿᵈ 3ʳᵈ", "1st 2nd 3rd"),
    ("5㎏ 3㎜ 2㎧ 4㎡", "5kg 3mm 2m/s 4m2"),
    ("u\u0332n\u0332d\u0332e\u0332r s\u0336t\u0336r\u0336u\u0336c\u0336k", "under struck"),
    # What means something else stays.
    ("m² m³ 10⁶ 10⁻³", "m² m³ 10⁶ 10⁻³"),
    ("xⁿ 2ⁿ", "xⁿ 2ⁿ"),
    ("½ ¼ ™ © ® №", "½ ¼ ™ © ® №"),
    ("21 ℃ 21 º 1ª", "21 ℃ 21 º 1ª"),
    ("🇩🇪 🇫🇷🇩🇪", "🇩🇪 🇫🇷🇩🇪"),
    ("Ⅷ ℹ Ω é ß", "Ⅷ ℹ Ω é ß"),
    ("плохо 好 ü", "плохо 好 ü"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_styled_letters_are_folded_for_speech_and_for_policies(text: str, expected: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", expected)
    assert visible_text(text) == visible_text(expected)


WORDS = ["𝐛𝐚𝐝𝐠𝐞𝐫", "ⓑⓐⓓⓖⓔⓡ", "⒝⒜⒟⒢⒠⒭", "🅱🅰🅳🅶🅴🆁", "ʙᴀᴅɢᴇʀ", "ᵇᵃᵈᵍᵉʳ", "🇧🇦🇩🇬🇪🇷", "ｂａｄｇｅｒ", "🄱🄰🄳🄶🄴🅁", "𝔟𝔞𝔡𝔤𝔢𝔯"]


@pytest.mark.parametrize("word", WORDS)
def test_a_blocked_word_in_styled_letters_is_found(word: str) -> None:
    settings = config.parse("policies: {blocked: {words: [badger]}}\n", "c.yaml")
    verdict = Policies(settings.policies, settings.limits, 7).admit(Line("a", f"a {word} is here"))
    assert isinstance(verdict, Rejection)
    assert "'badger'" in verdict.detail


@settings(deadline=None)
@given(st.text(st.sampled_from("a5 ⓐ①②⒜🅰🇩🇪🇫ᴀⁿᵉ²½\ufe0f"), max_size=20) | st.text(max_size=40))
def test_folded_text_does_not_change_if_folded_again(text: str) -> None:
    folded = fold_styled(text)
    assert fold_styled(folded) == folded


@settings(deadline=None)
@given(st.text(st.sampled_from("é好ßя²³¹½™℃№ªº😀abc 123.,!?-"), max_size=40))
def test_text_without_styled_letters_does_not_change(text: str) -> None:
    assert fold_styled(text) == text


def test_every_styled_letter_is_one_letter() -> None:
    assert all(fold_styled(styled) == letter for styled, letter in STYLED_LETTERS.items())
