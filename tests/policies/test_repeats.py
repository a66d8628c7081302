"""What somebody repeated is shortened; words, numbers and codes are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.model import Line
from ishowtts.policies.repeats import shorten_repeats

SHORTENED = [
    ("Noooooo!!!!!", "Nooo!!!"),
    ("AaAaAaAaA", "AaA"),
    ("soooo goooood", "sooo goood"),
    ("Aaaaargh AAAAARGH AAAARGH", "Aaargh AAARGH AAARGH"),
    ("NOOOO", "NOOO"),
    ("AAAAA", "AAA"),
    ("aaaa zzzz hmmmm", "aaa zzz hmmm"),
    ("mmmm iiii", "mmm iii"),
    ("FFFFFFFF", "FFF"),
    ("aaaaaaaaa1", "aaa1"),  # too long for a code
    ("soooo1", "sooo1"),
    ("哈哈哈哈哈哈", "哈哈哈"),
    ("hahahahahahaha lololololololol", "hahaha lololol"),
    ("ha ha ha ha ha ha ha", "ha ha ha"),
    ("no, no, no, no, no, No, NO!", "no, no, no!"),
    ("Z\u0335\u0336\u0337\u0338a", "Z\u0335\u0336a"),
    ("see www.aaaaaa.com aaaaaa", "see www.aaaaaa.com aaa"),
    ("wow!!!!!! ......", "wow!!! ..."),
]
WORDS = [
    "Replace the AAAA battery.",
    "AAA or AAAA, an AAAA-battery; (AAAA) AAAA_battery",
    "two AAAA's",
    "aaaa batteries, an Aaaa-battery and AAAA-Batterien",
    "The AAAA record is gone.",
    "Sizes XXXL, XXXXL, xxxl, xxxxl and XXXXXL",
    "XIII VIII XXXIII XXVIII MMXXVI IIII MMMM CCCC",
    "Louis XIII. and chapter xviii",
    "www and zzz",
    "card XXXX1234 and XXXX-XXXX-1234",
    "dd.MM.yyyy and YYYY-MM-DD",
    "10000000 1000000 00:00:00 000 1111111",
    "二〇〇〇〇年 一一一一一",
    "一 一 一 一 一 一 一",
    "1 1 1 1 1 1 1 1",
    "zero zero zero zero zero zero seven",
    "one, one, one, one, one, one, two",
    "null null null null null null drei",
    "0xFFFFFFFF 0xffff0000 #FFFFFF #ffffff",
    "ff:ff:ff:ff:ff:ff fe80::ffff:0000 2001:db8:ffff::1",
    "key 3faaaab2, serial SN4AAAA7-BBBB, 7EEEEE",
    "0xABABABABABAB12",
    "123e4567-ffff-12d3-aaaa-426614174000",
    "Schifffahrt Flussschiff Betttuch bookkeeper",
    "hahahaha",
    "no no no no no",
    "Hmmm... Brrr",
]


@pytest.mark.parametrize(("text", "edited"), SHORTENED)
def test_repeats_are_shortened(text: str, edited: str) -> None:
    assert shorten_repeats(text, 3) == edited


@pytest.mark.parametrize("text", WORDS)
def test_words_numbers_and_codes_are_not_shortened(make, text: str) -> None:
    assert shorten_repeats(text, 3) == text
    line = Line("a", text)
    assert make().admit(line) is line


@pytest.mark.parametrize(
    "text", ["XIII viii XXXIII xxxiii Charles III", "AAA AAAA", "XXXL", "www", "ff:ff:ff:00 0xfff1", "yyyy"]
)
def test_a_shorter_run_than_usual_changes_no_word_either(text: str) -> None:
    assert shorten_repeats(text, 2) == text


@settings(deadline=None)
@given(text=st.text(), max_run=st.integers(2, 5))
def test_shortening_repeats_never_adds_text_and_keeps_every_digit(text: str, max_run: int) -> None:
    shortened = shorten_repeats(text, max_run)
    assert len(shortened) <= len(text)
    assert [char for char in shortened if char.isdigit()] == [char for char in text if char.isdigit()]
