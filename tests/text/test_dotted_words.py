"""Dots inside of words: forgotten blanks between sentences, names and addresses."""

from __future__ import annotations

import time

import pytest

from ishowtts.text.dotted_words import separate_sentences
from ishowtts.text.reader import TextReader

READER = TextReader(None, lambda voice: None if voice != "greta" else "de")

SEPARATED = [
    ("Dinner is ready.De kids eat first.", "Dinner is ready. De kids eat first."),
    ("He came.It was late.Then he left.", "He came. It was late. Then he left."),
    ("I am done.I go now.", "I am done. I go now."),
    ("It works.I'm happy", "It works. I'm happy"),
    ("Hello.How are you?", "Hello. How are you?"),
    ("Really?Yes!Stop...Now", "Really? Yes! Stop... Now"),
    ("He said \"stop.\"Then he left.", "He said \"stop.\" Then he left."),
    ("It isn't here.Please check-in.Thanks", "It isn't here. Please check-in. Thanks"),
    ("Das Essen ist fertig.Über uns brennt Licht.Äpfel", "Das Essen ist fertig. Über uns brennt Licht. Äpfel"),
    ("It is 10.30.Please come at 5.Thanks", "It is 10.30. Please come at 5. Thanks"),
    ("It is at 50%.Charge it.", "It is at 50%. Charge it."),
    ("It is 21.5°C.Close it at 3pm.Bring cake", "It is 21.5°C. Close it at 3pm. Bring cake"),
    ("Das war's.Komm. It's.But", "Das war's. Komm. It's. But"),
    ("on TV.The news", "on TV. The news"),
    ("Mr.Smith came", "Mr. Smith came"),
    ("The parcel came.Info follows", "The parcel came. Info follows"),
]  # fmt: skip
KEPT = [
    "Dinner is ready. De kids eat first.",
    "www.Google.com and https://Example.Com/Foo.Bar?A=b.C",
    "see example.Com/path and twitch.Tv",
    "Your Amazon.de parcel and eBay.De",
    "The ASP.NET service and asp.Net",
    "Node.js, Vue.Js, README.md, Report.Final.pdf, Report.Pdf, photo.Jpg",
    "bob@example.com, anna.Smith@example.com and bob.Smith@Example.Com",
    "U.S.A. z.B. e.g. a.m. Ph.D. J.R.R.Tolkien",
    "v1.2.3 3.5 10.30 127.0.0.1:8123",
    "system.out obj.Method() Console.WriteLine(x) System.Out.println",
    "sensor.Kitchen_Temp light.hall",
    "C:\\Users.Old\\x",
    "2.B and 3.A",
    "你好。De 今天",
    "wait...what",
]


@pytest.mark.parametrize(("text", "separated"), SEPARATED)
def test_a_forgotten_blank_is_the_end_of_a_sentence(text: str, separated: str) -> None:
    assert separate_sentences(text) == separated
    assert separate_sentences(separated) == separated


@pytest.mark.parametrize("text", KEPT)
def test_names_addresses_and_abbreviations_are_not_separated(text: str) -> None:
    assert separate_sentences(text) == text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Dinner is ready.De kids eat first.", "Dinner is ready. De kids eat first."),
        ("The ASP.NET service has stopped.", "The A S P dot net service has stopped."),
        ("VB.NET, ADO.NET, Paint.NET and .NET", "V B dot net, A D O dot net, Paint dot net and dot net"),
        ("Your Amazon.de parcel is here.", "Your Amazon dot de parcel is here."),
        ("go to twitch.tv", "go to twitch dot tv"),
        ("The server web01.example.com is down", "The server web zero one dot example dot com is down"),
        ("EXAMPLE.COM is down", "example dot com is down"),
    ],
)
def test_a_name_with_a_dot_is_read_with_its_dot(text: str, read: str) -> None:
    assert READER.read(text, None) == read


def test_a_forgotten_blank_is_found_in_every_language() -> None:
    assert READER.read("Das Essen ist fertig.Komm jetzt.", "greta") == "Das Essen ist fertig. Komm jetzt."


@pytest.mark.parametrize("part", ["a.", "a-", "aa.B", "1.", "1,", "Aa.", "a’", '".'])
def test_a_hostile_text_takes_no_longer_than_its_length(part: str) -> None:
    began_s = time.process_time()
    separate_sentences(part * (20_000 // len(part)))
    assert time.process_time() - began_s < 2.0
