from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.policies import blocked_words, deobfuscation
from ishowtts.policies.blocked_words import WordList
from ishowtts.policies.deobfuscation import Interpretation, Letter

PARTS = ["b", "a", "d", "bad", "badger", "go", "away", " ", " ", "'", "’", ".", "🔥", "4", "$", "á", "đ", "\u0301",
         "\u200b", "傻", "逼", "aaaaa", "🇫", "ᴀ", "а", "´", "fool", "f00l", "he'll", "ﷺ", "ß", "\n"]  # fmt: skip


def every_interpretation(letters: list[Letter], accented: Collection[str]) -> Iterator[Interpretation]:
    """All interpretations, also those that equal an earlier one."""
    replaced = list(deobfuscation._replace_lookalikes(letters))
    plain = list(deobfuscation._replace_lookalikes(list(deobfuscation._strip_accents(letters, accented))))
    for read, loose in ((letters, False), (replaced, False), (plain, True)):
        yield Interpretation(deobfuscation.split_words(read), loose)
        yield Interpretation(deobfuscation._ignore_symbols(read), loose)
    yield Interpretation(list(deobfuscation._ignore_apostrophes(plain)), True)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_an_interpretation_that_is_left_out_finds_nothing_more(text) -> None:
    words = WordList(["badger", "bad", "fool", "hell", "go away", "傻逼", "b a"])
    found = set(words.find(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocked_words, "interpretations", every_interpretation)
        assert set(words.find(text)) == found


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_a_run_of_one_letter_collapses_to_one_with_its_count(text) -> None:
    letters = deobfuscation.to_letters(text)
    word = deobfuscation.collapse_runs(letters)
    assert "".join(char * count for char, count in zip(word.chars, word.counts, strict=True)) == "".join(
        letter.char for letter in letters
    )
    assert all(a != b for a, b in pairwise(word.chars))
    ends = list(accumulate(word.counts))
    assert [letters[end - 1].end for end in ends] == list(word.ends)
    assert [letters[end - count].start for end, count in zip(ends, word.counts, strict=True)] == list(word.starts)
