"""Folds styled letters to plain ones: 𝐛𝐨𝐥𝐝, ⓒⓘⓡⓒⓛⓔⓓ, 🆂🆀🆄🅰🆁🅴🅳, ꜱᴍᴀʟʟ ᴄᴀᴘɪᴛᴀʟꜱ, ˢᵘᵖᵉʳˢᶜʳⁱᵖᵗ, s̶t̶r̶u̶c̶k̶.

The policies and the reader share this, so that a word that is blocked is also found in the letters that are spoken.
"""

from __future__ import annotations

import re
import unicodedata


def _alphabet(first: int, letters: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> dict[str, str]:
    return {chr(first + i): letter for i, letter in enumerate(letters)}


FLAG_LETTERS = _alphabet(0x1F1E6)
"""Two of them are a flag: 🇩🇪."""

STYLED_LETTERS = {
    **_alphabet(0x1F150),
    **_alphabet(0x1F170),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True)),
}
"""Letters in filled circles and squares, and small capitals. NFKC leaves them as they are."""

# The marks of circled numbers, each with the first number: ① ⓪ ⓵ ❶ ➀ ➊ ⓫ ㉑ ㊱.
_CIRCLED_NUMBERS = ((0x2460, 1, 20), (0x24EA, 0, 1), (0x24EB, 11, 10), (0x24F5, 1, 10), (0x24FF, 0, 1),
                    (0x2776, 1, 10), (0x2780, 1, 10), (0x278A, 1, 10), (0x3251, 21, 15), (0x32B1, 36, 15))  # fmt: skip
_NUMBERS = {chr(mark + i): str(first + i) for mark, first, count in _CIRCLED_NUMBERS for i in range(count)}

# Code points that NFKC folds to ASCII letters and digits: mathematical letters, ligatures, subscript digits, letters
# in parentheses, circles and squares, and letters like ℝ. Not in it: ² ³ ½ ™ № ℃ ℹ ª º, which mean something else.
_BY_NFKC = (*range(0x1D400, 0x1D800), *range(0xFB00, 0xFB07), *range(0x2080, 0x208A), *range(0x2090, 0x209D),
            *range(0x249C, 0x24EA), *range(0x1F110, 0x1F12C), *range(0x1F130, 0x1F14A), *range(0x2102, 0x2103),
            *range(0x210A, 0x2114), 0x2115, *range(0x2119, 0x211E), 0x2124, 0x2128, 0x212C, 0x212D,
            *range(0x212F, 0x2132), 0x2133, 0x2134, *range(0x2145, 0x214A))  # fmt: skip
_SUPERSCRIPTS = (0x2071, *range(0x2B0, 0x2B9), *range(0x2E1, 0x2E4), *range(0x1D2C, 0x1D6B), *range(0x1D78, 0x1DC0),
                 0x2C7C, 0x2C7D)  # fmt: skip
# Full-width letters, digits and symbols of Chinese input methods. Full-width punctuation stays: it is Chinese.
_FULL_WIDTH = tuple(i for i in range(0xFF01, 0xFF5F) if chr(i) not in "，：；！？（）～")
# Units in one character, such as ㎏ and ㎧. ㎡ and its kind become m2.
_UNIT_SIGNS = (*range(0x3371, 0x3377), *range(0x3380, 0x33E0), 0x33FF)


def _folded(code_points: tuple[int, ...]) -> dict[int, str]:
    folded = ((i, unicodedata.normalize("NFKC", chr(i)).replace("\u2215", "/")) for i in code_points)
    return {i: plain for i, plain in folded if plain.isascii() or plain.startswith("\u03bc")}


_SUPERSCRIPT_LETTERS = _folded(_SUPERSCRIPTS)
_TABLE = _folded((*_FULL_WIDTH, *_UNIT_SIGNS)) | _SUPERSCRIPT_LETTERS
_TABLE |= {i: plain.strip("()") for i, plain in _folded(_BY_NFKC).items()}
_TABLE |= {ord(styled): letter for styled, letter in STYLED_LETTERS.items()}

_SUPERSCRIPT = "".join(map(chr, _SUPERSCRIPT_LETTERS))
# ⁿ alone is a power. Only in a word of superscript letters it is a letter.
_SUPERSCRIPT_N = re.compile(f"(?<=[{_SUPERSCRIPT}])\u207f|\u207f(?=[{_SUPERSCRIPT}])")
_CIRCLED = "".join(_NUMBERS)
_NUMBER = re.compile(rf"([A-Za-z\d]?)([{_CIRCLED}])(?=([A-Za-z\d{_CIRCLED}]?))")
_FLAGS = re.compile(f"[{''.join(FLAG_LETTERS)}]+")
_LINES = re.compile("(?<=[A-Za-z0-9])[\u0305\u0332-\u0338\u033f\u0347]+")  # under, over or through letters
_EMOJI_STYLE = re.compile("(?<=[\U0001f150-\U0001f189])\ufe0f")  # 🅰 as an emoji is still a letter


def fold_styled(text: str) -> str:
    """The text with plain letters and digits for styled ones. Folding the result again does not change it.

    A circled number becomes a number of its own: `5①` is not 51. Flags stay.
    """
    if text.isascii():
        return text
    text = _FLAGS.sub(_fold_flags, _EMOJI_STYLE.sub("", text))
    text = _NUMBER.sub(_fold_number, _SUPERSCRIPT_N.sub("n", text).translate(_TABLE))
    return _LINES.sub("", text)


def compose_and_fold(text: str) -> str:
    """The text in NFC with styled letters folded. NFC comes first, since it puts the marks of a letter in order."""
    return unicodedata.normalize("NFC", fold_styled(unicodedata.normalize("NFC", text)))


def _fold_number(match: re.Match[str]) -> str:
    before, number, after = match[1], _NUMBERS[match[2]], match[3]
    return f"{before}{' ' * bool(before)}{number}{' ' * bool(after)}"


def _fold_flags(run: re.Match[str]) -> str:
    """The run itself if it consists of flags, else its letters."""
    import emoji

    letters = run[0]
    pairs = [letters[i : i + 2] for i in range(0, len(letters), 2)]
    if all(emoji.is_emoji(pair) for pair in pairs if len(pair) == 2) and len(pairs[-1]) == 2:
        return letters
    return "".join(FLAG_LETTERS[letter] for letter in letters)
