"""Blocked words are found in spite of disguises, and ordinary words are not."""

from __future__ import annotations

import logging
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.config.policy_section import BlockedSection
from ishowtts.policies.blocked_words import BlockedWords, WordList

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
        ("g o d", "god"),
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
     "goes away", "go far away", "away go", "傻瓜", "逼傻", "", " ", "🔥", "as s", "10 000 a b c", "$5", "a ss"],
)  # fmt: skip
def test_another_word_is_not_found(text) -> None:
    assert found(text) == set()


def accented(word: str) -> list[str]:
    """The word with one letter replaced, by every accented form of each of its letters."""
    written = []
    for char in map(chr, range(0x80, 0x20000)):
        parts = unicodedata.normalize("NFD", char)
        bare = "".join(part for part in parts if not unicodedata.combining(part)).lower()
        if parts != char and len(bare) == 1 and bare in word:
            at = word.index(bare)
            written.append(word[:at] + char + word[at + 1 :])
    return written


def test_a_word_is_found_with_any_accent_on_one_letter() -> None:
    badger = WordList(["badger"])
    assert len(accented("badger")) >= 159
    assert [text for text in accented("badger") if not list(badger.find(text))] == []


@pytest.mark.parametrize(
    "text",
    ["ba'dger", "b'adger", "badge'r", "ba’dger", "ba´dger", "ba`dger", "ba¨dger", "baːdger", "baʼdger", "baˈdger",
     "bá'dger", "ba'd'ger", "bađger", "bádgér", "BÁDGER", "b á d g e r", "ba\"dger", "ba-dger", "the bádger's",
     "badger\u0591", "\u0591badger", "bad\u093fger", "b\u0e31adger", "badger\u0591 नहीं"],
)  # fmt: skip
def test_a_word_is_found_with_accents_and_apostrophes_in_it(text) -> None:
    (hit, *_) = WordList(["badger", "go away"]).find(text)
    assert hit.entry == "badger"


def test_the_marks_of_other_scripts_count_there() -> None:
    words = WordList(["कुत्ता", "ばーかー"])
    assert [hit.entry for text in ("कुत्ता", "ばーかー", "यह कुत्ता है") for hit in words.find(text)] == [
        "कुत्ता",
        "ばーかー",
        "कुत्ता",
    ]
    assert not list(words.find("कत्त")), "without its vowel signs it is another word"


@pytest.mark.parametrize("text", ["gó awáy", "g'o a'way", "go awa´y"])
def test_a_phrase_is_found_with_accents_and_apostrophes_in_it(text) -> None:
    assert found(text) == {"go away"}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("ano", "dos años, un año, a ñ o"),  # too short: its accent counts
        ("1000", "10000 people"),
        ("hell", "he'll, he’ll and he´ll go; she'll as well"),
        ("whore", "Who're you?"),
        ("cant", "I can't"),
        ("wont", "you won't"),
        ("balls", "the ball's round"),
    ],
)
def test_ordinary_words_with_accents_and_apostrophes_are_not_found(entry, text) -> None:
    assert list(WordList([entry]).find(text)) == []


def test_accented_letters_of_a_list_are_letters_of_their_own() -> None:
    french = WordList(["enculé", "sale", "rape", "cote"])
    assert {hit.entry for hit in french.find("ENCULÉ")} == {"enculé"}
    assert {hit.entry for hit in french.find("l'enculé")} == {"enculé"}
    ordinary = "Le fromage salé est râpé, la cotée, déjà, été, à côté: « il l'a salé ». Encule, enculer."
    assert {hit.entry for hit in french.find(ordinary)} == set()
    assert {hit.entry for hit in french.find("sàle")} == {"sale"}, "no entry of this list has à"
    german = WordList(["schwul", "Hürensohn"])
    assert list(german.find("Ein schwüler Abend, schwül.")) == []
    assert {hit.entry for hit in WordList(["coño", "cono"]).find("un coño")} == {"coño"}


@settings(deadline=None)
@given(st.text())
def test_the_place_of_a_hit_is_within_the_text(text) -> None:
    for hit in WordList(["a", "bb", "傻", "!", "a b"]).find(text):
        assert 0 <= hit.start < hit.end <= len(text)


@settings(deadline=None)
@given(st.text(alphabet="abc xyz", max_size=8), st.text(alphabet="abc xyz", max_size=8))
def test_a_whole_word_is_found_between_any_words(before, after) -> None:
    assert any(hit.entry == "fool" for hit in LIST.find(f"{before} fool {after}"))


def blocked(clock, **section) -> BlockedWords:
    return BlockedWords(BlockedSection(**section), clock)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("You fool, you f o o l!", "You beep, you beep!"),
        ("f🔥o🔥ol ok", "beep ok"),
        ("你是傻逼吗", "你是 beep 吗"),
        ("傻傻逼逼", "beep"),
        ("nothing", "nothing"),
    ],
)
def test_a_mask_replaces_the_hit_and_nothing_more(clock, text, masked) -> None:
    assert blocked(clock, words=["fool", "傻逼"], action="mask").masked(text) == masked


def test_an_empty_mask_drops_the_word(clock) -> None:
    assert blocked(clock, words=["fool"], action="mask", mask="").masked("You fool!") == "You!"


def test_a_changed_file_is_read_again_after_two_seconds(clock, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# fruit\n\n  apple \npear\n", encoding="utf-8")
    words = blocked(clock, words=["fool"], file=path)
    assert [words.first_entry(text) for text in ("an apple", "a fool", "# fruit", "fruit")] == [
        "apple",
        "fool",
        None,
        None,
    ]
    path.write_text("plum\n")
    assert words.first_entry("a plum") is None, "read again too soon"
    clock.now_s += 2
    assert [words.first_entry(text) for text in ("a plum", "an apple", "a fool")] == ["plum", None, "fool"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\n", "is not UTF-8 (byte 0); save it as UTF-8"),
        (b"ok\n" + b"x" * 65, "words.txt:2: has 65 characters; write one word on each line, 64 at most"),
        (b"x\n" * 200_000, "is larger than 256 KiB"),
        (b"x\n" * 10_001, "holds 10001 words; 10000 at most are allowed"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_faulty_file_is_logged_once_and_keeps_the_last_good_list(clock, tmp_path, caplog, content, says) -> None:
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
            assert words.first_entry("an apple") == "apple"
    (record,) = caplog.records
    assert "policies.blocked.file: " in record.message
    assert says in record.message
    assert record.message.endswith("; the content that was read before stays in force")
    assert words.fault is not None
    assert says in words.fault
    path.write_text("plum\n")
    clock.now_s += 2
    assert words.first_entry("a plum") == "plum"
    assert words.fault is None


def test_a_fault_at_the_start_says_that_no_word_of_the_file_is_in_force(clock, tmp_path, caplog) -> None:
    words = blocked(clock, words=["fool"], file=tmp_path / "words.txt")
    clock.now_s += 2
    assert [words.first_entry(text) for text in ("a fool", "an apple")] == ["fool", None]
    (record,) = caplog.records
    assert record.message.endswith("; no blocked word of the file is in force")


def test_a_pipe_a_folder_or_a_device_does_not_block(clock, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\0b")):
        words = blocked(clock, words=["fool"], file=path)
        assert words.fault is not None
        assert words.first_entry("fool") == "fool"
