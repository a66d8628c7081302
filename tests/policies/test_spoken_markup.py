"""Markup inside of words and addresses: what the policies check is what is spoken."""

from __future__ import annotations

import pytest

from ishowtts import config
from ishowtts.model import Line, Reason, Rejection
from ishowtts.policies import Policies
from ishowtts.text.reader import TextReader

READER = TextReader(None, lambda _: None)


def policies(**section: object) -> Policies:
    return Policies(config.PolicySection.model_validate(section), config.LimitsSection(), 7, lambda: 0.0)


BLOCKING = policies(blocked={"words": ["badger"]})
WRITTEN = [
    "bad<b>ger</b>",
    "<i>b</i>adger",
    "b<span style='color:red'>adge</span>r",
    "b&#97;dger",
    "&#x62;&#97;dger",
    "&#98;&#97;&#100;&#103;&#101;&#114;",
    "bad&shy;ger",
    "bad&#8203;ger",
    "bad&zwnj;ger",
    "bad&zwj;ger",
    "bad&#x301;ger",
    "bad**ger**",
    "b_adge_r",
    "ba~~dge~~r",
    "ba||dg||er",
    "bad`g`er",
    "bad\\ger",
    "\\b\\a\\d\\g\\e\\r",
    "ba\x1b[31mdger",
    "ba\x0304dger",
    "[badger](https://example.com)",
    "![badger](https://example.com/a.png)",
    "<say-as interpret-as='characters'>badger</say-as>",
    "<speak><emphasis>bad</emphasis>ger</speak>",
    "[b]badger[/b]",
    "[b]bad[/b]ger",
    "# badger",
    "- badger",
    "> **badger**",
    "<𝐛>𝐛𝐚𝐝𝐠𝐞𝐫",
    "𝐛𝐚𝐝<b>ɢᴇʀ</b>",
    "ｂａｄ**ｇｅｒ**",
    "b&amp;adger",
]
SPOKEN_APART = ["bad<br>ger", "bad\nger", "bad\n\nger", "<li>bad</li><li>ger</li>", "bad\\nger"]


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("around", ["{}", "you {} there"])
def test_a_blocked_word_is_found_through_markup(written: str, around: str) -> None:
    rejection = BLOCKING.admit(Line("a", around.format(written)))
    assert isinstance(rejection, Rejection)
    assert rejection.reason is Reason.FILTERED


@pytest.mark.parametrize("written", WRITTEN)
def test_a_masked_word_is_not_spoken(written: str) -> None:
    line = policies(blocked={"words": ["badger"], "action": "mask"}).admit(Line("a", f"you {written} there"))
    assert isinstance(line, Line)
    assert "badger" not in READER.read(line.text, None).lower().replace(" ", "")


@pytest.mark.parametrize("written", SPOKEN_APART)
def test_a_word_that_is_spoken_in_two_parts_is_not_one_word(written: str) -> None:
    line = BLOCKING.admit(Line("a", written))
    assert isinstance(line, Line)
    assert "badger" not in READER.read(line.text, None)


@pytest.mark.parametrize("text", ["a **bad** day, a `ger` said", "<b>bad</b> <i>german</i>", "bad &amp; german"])
def test_words_beside_markup_are_not_joined(text: str) -> None:
    assert isinstance(BLOCKING.admit(Line("a", text)), Line)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("see &#104;ttps://example.com/a now", "see link now"),
        ("see **https://example.com/a** now", "see link now"),
        ("see https:\\/\\/example.com now", "see link now"),
        ("see www**.**example.com now", "see link now"),
        ("see exa<b>mple</b>.com now", "see link now"),
        ("see ⓔⓧⓐⓜⓟⓛⓔ.com now", "see link now"),
        ("see ｅｘａｍｐｌｅ．com/a now", "see link now"),
        ("see T\\.me/x now", "see link now"),
        ("see <https://example.com/a> now", "see link now"),
        ("see [the plan](https://example.com/a) now", "see the plan now"),
        ("*Node.js*: the **ASP.NET** service", "Node dot JS: the A S P dot net service"),
    ],
)
def test_a_link_is_found_through_markup(text: str, spoken: str) -> None:
    line = policies().admit(Line("a", text))
    assert isinstance(line, Line)
    assert READER.read(line.text, None) == spoken
