"""Blocked words are found however somebody hides them, and nothing else is."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Collection, Iterator
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts.config.policy_section import BlockedSection
from ishowtts.policies import deobfuscation, wordlist
from ishowtts.policies.blocked_words import BlockedWords
from ishowtts.policies.deobfuscation import Letter, PossibleText
from ishowtts.policies.wordlist import WordList

LIST = WordList(["fool", "god", "ass", "hell", "Straße", "go away", "傻逼", "🖕", "โง่"])


def found(text: str) -> set[str]:
    return {hit.entry for hit in LIST.find(text)}


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("You FOOL!", "fool"),
        ("fool", "fool"),
        ("“fool”", "fool"),
        ("ｆｏｏｌ", "fool"),
        ("𝓯𝓸𝓸𝓵", "fool"),
        ("ⓕⓞⓞⓛ", "fool"),
        ("🅵🅾🅾🅻", "fool"),
        ("🇫🇴🇴🇱", "fool"),
        ("ꜰᴏᴏʟ", "fool"),
        ("fo\u200bol", "fool"),
        ("fo\u00adol", "fool"),
        ("f\u0336o\u0336o\u0336l\u0336", "fool"),
        ("fооl", "fool"),  # Cyrillic о
        ("f00l", "fool"),
        ("fo🔥ol", "fool"),
        ("f🔥o🔥o🔥l", "fool"),
        ("f.o.o.l", "fool"),
        ("f o o l", "fool"),
        ("you f-o-o-l you", "fool"),
        ("i f o o l u", "fool"),
        ("foooooool", "fool"),
        ("ffooll", "fool"),
        ("fool🇺🇸", "fool"),
        ("http://fool.com/", "fool"),
        ("fool_fool", "fool"),
        ("a$$", "ass"),
        ("gooood", "god"),
        ("STRASSE", "Straße"),
        ("go   AWAY", "go away"),
        ("go-away", "go away"),
        ("你是傻逼吗", "傻逼"),
        ("傻 🔥 逼", "傻逼"),
        ("คนโง่มาก", "โง่"),
        ("see 🖕🏽", "🖕"),
    ],
)
def test_a_blocked_word_is_found(text, entry) -> None:
    assert entry in found(text)


@pytest.mark.parametrize(
    "text",
    ["fools", "tomfool", "foo l", "fol", "good morning", "gd", "class as pass", "he'll go", "hello", "shell",
     "goes away", "go far away", "away go", "傻瓜", "逼傻", "", " ", "🔥", "as s", "10 000 a b c", "$5"],
)  # fmt: skip
def test_nothing_else_is(text) -> None:
    assert found(text) == set()


def accented(word: str) -> list[str]:
    """The word with each Latin letter that has marks in place of the letter without them."""
    written = []
    for char in map(chr, range(0x80, 0x20000)):
        parts = unicodedata.normalize("NFD", char)
        bare = "".join(part for part in parts if not unicodedata.combining(part)).lower()
        if parts != char and len(bare) == 1 and bare in word:
            at = word.index(bare)
            written.append(word[:at] + char + word[at + 1 :])
    return written


def test_every_accent_on_one_letter_is_seen_through() -> None:
    badger = WordList(["badger"])
    assert len(accented("badger")) >= 159
    assert [text for text in accented("badger") if not list(badger.find(text))] == []


@pytest.mark.parametrize(
    "text",
    ["ba'dger", "b'adger", "badge'r", "ba’dger", "ba´dger", "ba`dger", "ba¨dger", "baːdger", "baʼdger", "baˈdger",
     "bá'dger", "ba'd'ger", "bađger", "bádgér", "BÁDGER", "b á d g e r", "ba\"dger", "ba-dger", "the bádger's"],
)  # fmt: skip
def test_accents_and_apostrophes_in_a_word_are_seen_through(text) -> None:
    (hit, *_) = WordList(["badger", "go away"]).find(text)
    assert hit.entry == "badger"


@pytest.mark.parametrize("text", ["gó awáy", "g'o a'way", "go awa´y"])
def test_they_are_in_a_phrase_too(text) -> None:
    assert found(text) == {"go away"}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("ano", "dos años, un año"),  # too short to overlook an accent
        ("hell", "he'll, he’ll and he´ll go; she'll as well"),
        ("whore", "Who're you?"),
        ("cant", "I can't"),
        ("wont", "you won't"),
        ("balls", "the ball's round"),
    ],
)
def test_ordinary_words_with_accents_and_apostrophes_are_not_found(entry, text) -> None:
    assert list(WordList([entry]).find(text)) == []


def test_a_list_with_accents_finds_itself_and_takes_its_accents_for_letters() -> None:
    french = WordList(["enculé", "sale", "rape", "cote"])
    assert {hit.entry for hit in french.find("ENCULÉ")} == {"enculé"}
    assert {hit.entry for hit in french.find("l'enculé")} == {"enculé"}
    ordinary = "Le fromage salé est râpé, la cotée, déjà, été, à côté: « il l'a salé ». Encule, enculer."
    assert {hit.entry for hit in french.find(ordinary)} == set()
    assert {hit.entry for hit in french.find("sàle")} == {"sale"}, "à is no letter of this list"
    german = WordList(["schwul", "Hürensohn"])
    assert list(german.find("Ein schwüler Abend, schwül.")) == []
    assert {hit.entry for hit in WordList(["coño", "cono"]).find("un coño")} == {"coño"}


@given(st.text())
def test_a_hit_is_a_part_of_the_text(text) -> None:
    for hit in WordList(["a", "bb", "傻", "!", "a b"]).find(text):
        assert 0 <= hit.start < hit.end <= len(text)


@given(st.text(alphabet="abc xyz", max_size=8), st.text(alphabet="abc xyz", max_size=8))
def test_a_whole_word_is_found_in_any_text(before, after) -> None:
    assert any(hit.entry == "fool" for hit in LIST.find(f"{before} fool {after}"))


PARTS = ["b", "a", "d", "bad", "badger", "go", "away", " ", " ", "'", "’", ".", "🔥", "4", "$", "á", "đ", "\u0301",
         "\u200b", "傻", "逼", "aaaaa", "🇫", "ᴀ", "а", "´", "fool", "f00l", "he'll", "ﷺ", "ß", "\n"]  # fmt: skip


def every_reading(letters: list[Letter], kept: Collection[str]) -> Iterator[PossibleText]:
    """All of them, those too that are the same as one before."""
    undisguised = list(deobfuscation._undisguised(letters))
    bare = list(deobfuscation._undisguised(list(deobfuscation._without_accents(letters, kept))))
    for seen, loose in ((letters, False), (undisguised, False), (bare, True)):
        yield PossibleText(deobfuscation.words(seen), loose)
        yield PossibleText(deobfuscation._glued(seen), loose)
    yield PossibleText(list(deobfuscation._joined(bare)), True)


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_a_reading_that_is_left_out_would_have_found_nothing_more(text) -> None:
    words = WordList(["badger", "bad", "fool", "hell", "go away", "傻逼", "b a"])
    found = set(words.find(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wordlist, "readings", every_reading)
        assert set(words.find(text)) == found


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_runs_of_letters_are_squeezed(text) -> None:
    letters = deobfuscation.read(text)
    word = deobfuscation.squeezed(letters)
    assert "".join(char * count for char, count in zip(word.chars, word.counts, strict=True)) == "".join(
        letter.char for letter in letters
    )
    assert all(a != b for a, b in pairwise(word.chars))
    ends = list(accumulate(word.counts))
    assert [letters[end - 1].end for end in ends] == list(word.ends)
    assert [letters[end - count].start for end, count in zip(ends, word.counts, strict=True)] == list(word.starts)


def blocked(clock, **section) -> BlockedWords:
    return BlockedWords(BlockedSection(**section), clock)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("You fool, you f o o l!", "You beep, you beep!"),
        ("f🔥o🔥ol ok", "beep ok"),
        ("你是傻逼吗", "你是 beep 吗"),
        ("傻傻逼逼", "beep"),
        ("nothing", "nothing"),
    ],
)
def test_a_mask_covers_what_was_found_and_no_more(clock, text, said) -> None:
    assert blocked(clock, words=["fool", "傻逼"], action="mask").masked(text) == said


def test_an_empty_mask_leaves_the_word_out(clock) -> None:
    assert blocked(clock, words=["fool"], action="mask", mask="").masked("You fool!") == "You!"


def test_a_file_is_taken_up_while_lines_come(clock, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# fruit\n\n  apple \npear\n", encoding="utf-8")
    words = blocked(clock, words=["fool"], file=path)
    assert [words.first(text) for text in ("an apple", "a fool", "# fruit", "fruit")] == ["apple", "fool", None, None]
    path.write_text("plum\n")
    assert words.first("a plum") is None, "looked too soon"
    clock.now_s += 2
    assert [words.first(text) for text in ("a plum", "an apple", "a fool")] == ["plum", None, "fool"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\n", "is not UTF-8 (byte 0); save it as UTF-8"),
        (b"ok\n" + b"x" * 65, "words.txt:2: has 65 characters; write one word a line, 64 at most"),
        (b"x\n" * 200_000, "is larger than 256 KiB"),
        (b"x\n" * 10_001, "holds 10001 words; 10000 at most"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_faulty_file_is_one_sentence_and_keeps_the_last_good_list(clock, tmp_path, caplog, content, says) -> None:
    path = tmp_path / "words.txt"
    path.write_text("apple\n")
    words = blocked(clock, file=path)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            clock.now_s += 2
            assert words.first("an apple") == "apple"
    (record,) = caplog.records
    assert "policies.blocked.file: " in record.message
    assert says in record.message
    assert words.fault is not None
    assert says in words.fault
    path.write_text("plum\n")
    clock.now_s += 2
    assert words.first("a plum") == "plum"
    assert words.fault is None


def test_a_file_that_is_none_hangs_nothing(clock, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\0b")):
        words = blocked(clock, words=["fool"], file=path)
        assert words.fault is not None
        assert words.first("fool") == "fool"
