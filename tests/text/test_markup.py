"""plain_text: markup is taken out of a text, its words and their signs stay."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts import config
from ishowtts.model import Line
from ishowtts.policies import Policies
from ishowtts.text import plain_text
from ishowtts.text.reader import TextReader

MARKDOWN = [
    ("## Dinner\n**Soup** is ready, *really*.\n- bring `two` spoons\n- see [the plan](https://example.com/a)",
     "Dinner. Soup is ready, really. Bring two spoons. See the plan."),
    ("# One", "One"),
    ("### Closed ###", "Closed"),
    ("Title\n=====\nText.", "Title. Text."),
    ("=== News ===\nRain.", "News. Rain."),
    ("**bold** __strong__ *soft* _soft_ ***both***", "bold strong soft soft both"),
    ("**Warning**: the *freezer* is warm", "Warning: the freezer is warm"),
    ("*Anna*'s cake", "Anna's cake"),
    ("(*really*), \"**yes**\"", "(really), \"yes\""),
    ("你好**世界**吧", "你好世界吧"),
    ("~~old~~ new ~gone~", "old new gone"),
    ("||secret|| and ==marked==", "secret and marked"),
    ("Run `make test` now", "Run make test now"),
    ("Use `<b>` and `**x**`", "Use <b> and **x**"),
    ("```python\nx = 5;\n```\nDone.", "x = 5; Done."),
    ("~~~\ncode\n~~~", "code"),
    ("[t](https://example.com)", "t"),
    ("[t](https://example.com/a_(b) \"a title\")", "t"),
    ("[t](<https://example.com>) [u](../x.md) [v](#part)", "t u v"),
    ("[](https://example.com)", "https://example.com"),
    ("[the docs][1]\n\n[1]: https://example.com", "the docs"),
    ("![a red door](door.png) opens", "a red door opens"),
    ("[![logo](a.png)](https://example.com)", "logo"),
    ("A note[^1] here.\n\n[^1]: Small print.", "A note here. Small print."),
    ("> quoted words\n> and more", "quoted words, and more"),
    ("> > deep", "deep"),
    ("> [!WARNING]\n> It is hot.", "Warning. It is hot."),
    ("* one\n* two", "one. Two."),
    ("+ one\n+ two", "one. Two."),
    ("• one\n• two", "one. Two."),
    ("-Milk\n-Eggs", "Milk. Eggs."),
    ("- one\n  - inner\n- two", "one. Inner. Two."),
    ("1. Boil water\n2. add salt", "1, Boil water. 2, add salt."),
    ("1) milk\n2) 2 eggs", "1, milk. 2. 2 eggs."),
    ("1. 牛奶\n2. 鸡蛋", "1、牛奶。2、鸡蛋。"),
    ("1) Boil\n2) Stir", "1, Boil. 2, Stir."),
    ("- [ ] milk\n- [x] eggs", "milk. Eggs, done."),
    ("| Room | Temp |\n| :--- | ---: |\n| Kitchen | 21 °C |", "Room, Temp. Kitchen, 21 °C."),
    ("a | b\n--|--\n1 | 2", "a, b. 1, 2."),
    ("One\n\n---\n\nTwo", "One. Two."),
    ("One\n***\nTwo\n___\nThree", "One. Two. Three."),
    (r"\*not bold\* \# 1\. a\_b", "*not bold* # 1. a_b"),
    (r"Done\! It is \-5 °C\.", "Done! It is -5 °C."),
    ("<https://example.com/a_b>", "https://example.com/a_b"),
    ("<me@example.org>", "me@example.org"),
    ("see *https://example.com/a_b_c*", "see https://example.com/a_b_c"),
    ("-# small print", "small print"),
    ("H~2~O and x^2^ on the 1^st^", "H2O and x^2 on the 1st"),
    ("Term\n: what it means", "Term. What it means."),
    ("One\n-\nTwo", "One. Two."),
    ("Rating: ***** (5/5)", "Rating: (5/5)"),
]  # fmt: skip

HTML = [
    ("<b>Dinner</b> is <i>ready</i>", "Dinner is ready"),
    ("One<br>Two<br/>Three<BR />Four", "One. Two. Three. Four."),
    ("<p>Dinner.</p><p>Now</p>", "Dinner. Now"),
    ("<p>hard\nwrapped</p>", "hard wrapped"),
    ("<ul><li>milk</li><li>two eggs</li></ul>", "milk. Two eggs."),
    ("<h1>News</h1>It rains", "News. It rains."),
    ('<a href="https://example.com">the plan</a>', "the plan"),
    ('<img src="a.png" alt="a door"> opens', "a door opens"),
    ('<span style="color: red">hot</span>', "hot"),
    ("<script>alert(1)</script>Hi<style>p {}</style>", "Hi"),
    ("Hi <!-- not this --> there", "Hi there"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a, b, c"),
    ("<!DOCTYPE html><html><body>Hi</body></html>", "Hi"),
    ("He said <q>yes</q>", 'He said "yes"'),
    ("10<sup>6</sup> m<sup>2</sup> on the 1<sup>st</sup>", "10^6 m² on the 1st"),
    ("H<sub>2</sub>O", "H2O"),
    ("<temperature>21</temperature> degrees", "21 degrees"),
    ("<tg-spoiler>it rains</tg-spoiler>", "it rains"),
    ("<![CDATA[Hi there]]>", "Hi there"),
    ("<strong>-5 °C</strong>", "-5 °C"),
]

SSML = [
    ("<speak>Hello there.</speak>", "Hello there."),
    ('<speak>Step one<break time="1s"/>step two</speak>', "Step one, step two"),
    ('Wait.<break strength="strong"/> Go.', "Wait. Go."),
    ('<sub alias="World Wide Web Consortium">W3C</sub> rules', "World Wide Web Consortium rules"),
    ('The code is <say-as interpret-as="characters">AB1</say-as>', "The code is A B 1"),
    ('on <say-as interpret-as="date" format="mdy">5/6/2026</say-as>', "on 5/6/2026"),
    ('<say-as interpret-as="telephone">5551234</say-as>', "5 5 5 1 2 3 4"),
    ('<emphasis level="strong">never</emphasis> again', "never again"),
    ('<prosody rate="slow">slowly</prosody>', "slowly"),
    ('<phoneme alphabet="ipa" ph="x">tomato</phoneme>', "tomato"),
    ('<voice name="anna">Hi</voice>', "Hi"),
    ("<speak><s>One</s><s>Two</s></speak>", "One. Two."),
    ('<?xml version="1.0"?><speak version="1.1">Hi</speak>', "Hi"),
    ('<amazon:effect name="whispered">psst</amazon:effect>', "psst"),
    ('<mstts:express-as style="sad">oh</mstts:express-as>', "oh"),
]

ENTITIES = [
    ("Tom &amp; Jerry&#39;s bill is &lt; 5 &euro;", "Tom & Jerry's bill is < 5 €"),
    ("&quot;Hi&quot; &apos;x&apos;", "\"Hi\" 'x'"),
    ("21&deg;C and &minus;5&#176;C", "21°C and −5°C"),
    ("&#8364;5 &#x20AC;6 &#X20ac;7", "€5 €6 €7"),
    ("caf&eacute; &Uuml;ber", "café Über"),
    ("5 &times; 3 &plusmn; 1 &frac12;", "5 × 3 ± 1 ½"),
    ("a&nbsp;b", "a\u00a0b"),
    ("one &hellip; two &mdash; three", "one … two — three"),
    ("Tom &amp Jerry &copy 2026", "Tom & Jerry © 2026"),
    ("Jerry&#39s", "Jerry's"),
    ("21&degC", "21°C"),
    ("&amp;lt; and &amp;amp;", "&lt; and &amp;"),
    ("&lt;b&gt;", "<b>"),
    ("&#42;not bold&#42;", "*not bold*"),
    # No entities
    ("R&D and AT&T", "R&D and AT&T"),
    ("AT&T; fish &chips; Q&A", "AT&T; fish &chips; Q&A"),
    ("https://example.com/?a=1&copy=2", "https://example.com/?a=1&copy=2"),
    ("3 & 4", "3 & 4"),
    ("&", "&"),
    ("&;", "&;"),
    ("&#;", "&#;"),
    ("&#99999999;", "&#99999999;"),
]

CHATS = [
    ("nice <:PogChamp:123456789>", "nice Pog Champ"),
    ("hi <:wave:123456789>", "hi wave"),
    ("<a:party_cat:123456789> yes", "party cat yes"),
    ("<@123456789012345678> is here", "someone is here"),
    ("<@!123456789012345678>, come", "someone, come"),
    ("tell <@&123456789012345678>", "tell a group"),
    ("see <#123456789012345678>", "see a channel"),
    ("use </play song:123456789>", "use play song"),
    ("good :smile: and :+1:", "good 😄 and 👍"),
    ("lol :joy::joy:", "lol 😂😂"),
    ("<:kekw:123456789><:kekw:123456789>!", "kekw kekw!"),
    ("wow :unknownEmote: wow", "wow unknown Emote wow"),
    ("see <https://example.com/x|the plan>", "see the plan"),
    ("<@U123ABC> and <@U123ABC|anna>", "someone and @anna"),
    ("<#C123|general> <!here> <!channel>", "general @here @channel"),
    ("<!subteam^S123|@devs>", "@devs"),
    ("<mailto:me@example.org|me@example.org>", "me@example.org"),
    ("\x0304,01red\x03 and \x02bold\x0f", "red and bold"),
    ("\x0304" + "5 apples", "5 apples"),
    ("\x1b[1;31mred\x1b[0m alert", "red alert"),
    (r"\x1b[31mred\x1b[0m \033[1mbold\033[0m \u001b[0m", "red bold"),
    ("[b]bold[/b] [i]soft[/i]", "bold soft"),
    ("[url=https://example.com]the site[/url]", "the site"),
    ("[color=red]hot[/color] [size=5]big[/size]", "hot big"),
    ("[list][*]milk[*]two eggs[/list]", "milk. Two eggs."),
    ("[quote]Hi[/quote]", "Hi"),
    ("§cWarning§r §l§4Hot", "Warning Hot"),
    ("§6Gold §aGreen", "Gold Green"),
]

LINES = [
    ("Still to buy:\nMilk\nEggs\nBrown bread", "Still to buy: Milk. Eggs. Brown bread."),
    ("milk\neggs\nbrown bread", "milk, eggs, brown bread"),
    ("Dinner is ready.\nCome!", "Dinner is ready. Come!"),
    ("Dinner is ready\r\nCome now\r\n", "Dinner is ready. Come now."),
    ("One\rTwo\u2028Three\x0bFour", "One. Two. Three. Four."),
    ("One\n\n\n\nTwo", "One. Two."),
    ("done.\\nPlease", "done. Please"),
    ("Milk\\nEggs\\r\\nBread", "Milk. Eggs. Bread."),
    ("a\\\\nb", "a, b"),
    ("one\\ttwo", "one\ttwo"),
    ("买牛奶\n买鸡蛋", "买牛奶。买鸡蛋。"),
    ("温度 -5 °C\n买牛奶", "温度 -5 °C。买牛奶。"),
    ("你好，\n世界。", "你好，世界。"),
    ("“Hi.”\n“Bye.”", "“Hi.” “Bye.”"),
    ("This line of prose is long and was wrapped at a column\nso it goes on here.",
     "This line of prose is long and was wrapped at a column so it goes on here."),
    ("It is time for the\nDinner of Anna", "It is time for the Dinner of Anna"),
    ("Heating on\nFan off\nWhat it is", "Heating on. Fan off. What it is."),
    ("The outside temperature at the station is now about\n21 °C",
     "The outside temperature at the station is now about 21 °C"),
    ("The kitchen is warm\nThe cellar is cold", "The kitchen is warm. The cellar is cold."),
    ("Temperature: 21 °C\nHumidity: 45 %", "Temperature: 21 °C. Humidity: 45 %."),
    ("Yes 🎉\nNo", "Yes 🎉. No."),
    ("-5 °C\n-3 °C", "-5 °C. -3 °C."),
    ("- 5 eggs\n- 2 onions", "5 eggs. 2 onions."),
    ("Lows:\n- 5 °C\n- 3 °C", "Lows: -5 °C. -3 °C."),
    ("- -5 °C\n- 3 l of milk", "-5 °C. 3 l of milk."),
]  # fmt: skip

# What only looks like markup. A lost minus or a changed number is the worst fault.
KEPT = [
    "\\\\nas\\share\\new.txt", "see \\\\tower\\films",
    "2 ** 3 = 8", "a ** b", "2*3*4", "2 * 3 * 4", "(2)*(3)*(4)", "2**3", "a * b", "x*y", "5*", "Dial *67 now",
    "4* hotel", "5 stars", "snake_case", "a_b", "x_1 and x_2", "C#", "F# minor", "#1", "#1 of 5", "#music",
    "5 > 3", "3 < 5 > 1", "a < b > c", "<3", "I <3 you", "<- back", "x <- 5", "-> out", "if a<b>c", "1 < 2",
    "<5 min", "1. 5", "1.5", "-5 °C", "+5", "- ", "5 - 3 = 2", "~5 minutes", "about ~ 5", "5 ~ 6", "C:\\new",
    "C:\\temp\\new.txt", "see D:\\notes now", "\\\\server\\new", "..\\new", "~\\new", "C:\\Program Files\\new",
    "f[0](x)", "[5](3)", "[sic](really)", "a[i]", "[12:30] hello", "10:30:45", "std::vector::x", "a:b:c",
    ":D :-) :P", "8:30: bus", "§5 BGB", "§5a UWG", "§ 823", "1/2", "50%", "a/b", "^_^", "R&D", "5 & 6", "$5",
    "v1.2_3", "5'11\"", "x = y", "a == b", "=5", "{author}", "(1) first", "1) Boil", "1) 5", "2026-11-21",
    "Wait...", "…", "what?!", "a|b", "100 % sure", "3 <= 5", "5 >= 3", "x != y", ">:(", "> 5", ">= 5", "<5",
    "@anna hi", "me@example.org", "https://example.com/a_b_c*d*?x=1&y=_2_", "www.example.com/~me/*",
]  # fmt: skip

SMALL = [
    ("- 5 °C", "-5 °C"),
    ("– 5 °C", "–5 °C"),
    ("+ 5 °C", "+5 °C"),
    ("Outside:\n- 5 °C", "Outside: -5 °C"),
    ("- 12", "-12"),
    ("**-5**°C", "-5°C"),
    ("**5**€ and €**5**", "5€ and €5"),
    ("5**", "5"),
    ("- .5 V", "-.5 V"),
    ("* 5 apples", "5 apples"),
    ("**kwargs", "kwargs"),
    ("*sigh*", "sigh"),
    ("the f*** off", "the f off"),
    ("price 5 €* and *plus VAT", "price 5 € and plus VAT"),
    ("don`t", "don't"),
    ("Press <enter> now", "Press enter now"),
    ("Your <address> and <your name>", "Your address and your name"),
    ("vector<int> x", "vector int x"),
    ("a | b | c", "a, b, c"),
    ("*****", ""),
]


@pytest.mark.parametrize(
    ("text", "expected"), [*MARKDOWN, *HTML, *SSML, *ENTITIES, *CHATS, *LINES, *SMALL], ids=lambda value: value[:40]
)
def test_only_words_are_left(text: str, expected: str) -> None:
    assert plain_text(text) == expected


@pytest.mark.parametrize("text", KEPT)
def test_signs_with_a_meaning_stay(text: str) -> None:
    assert plain_text(text).strip() == text.strip()


def test_a_time_of_a_chat_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert plain_text("at <t:1618953630:t>, <t:1618953630:D>") == "at 21:20, 2021-04-20"
        assert plain_text("<t:1618953630>") == plain_text("<t:1618953630:R>") == "2021-04-20, 21:20"
        assert plain_text("<t:999999999999:t> x") != ""
    finally:
        monkeypatch.undo()
        time.tzset()


SPOKEN = [
    (MARKDOWN[0][0], MARKDOWN[0][1]),
    ("Still to buy:\nMilk\nEggs\nBrown bread", "Still to buy: Milk. Eggs. Brown bread."),
    ("done.\\nPlease", "done. Please"),
    ("- 5 °C", "minus five degrees Celsius"),
    ("It is <b>&minus;5&deg;C</b>", "It is minus five degrees Celsius"),
    ("2*3 and **4**", "two times three and four"),
    ("#1 **fan**", "number one fan"),
    ("[the plan](https://example.com) at 10:00", "the plan at ten o'clock"),
    ("| Kitchen | 21 °C |\n|---|---|\n| Cellar | -3 °C |",
     "Kitchen, twenty one degrees Celsius. Cellar, minus three degrees Celsius."),
    ("1. Wait 5 min\n2. Stir", "one, Wait five minutes. two, Stir."),
    ("&pound;5 &lt;b&gt;", "five pounds <b>"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "spoken"), SPOKEN, ids=lambda value: value[:40])
def test_a_line_with_markup_is_spoken_as_it_is_meant(text: str, spoken: str) -> None:
    configured = config.parse("policies: {}\n", "c.yaml")
    line = Policies(configured.policies, configured.limits, 7).admit(Line("a", text))
    assert isinstance(line, Line)
    assert TextReader(None, lambda _: "en").read(line.text, None) == spoken


SIGNS = ["*", "_", "`", "~", "|", "#", "<", ">", "&", "[", "]", "(", "!", "\\", "§", "=", "•", ":", "-", "+", "'", "/",
         "@", "\n", "\x03", "\x1b", "**", "||", "[a](", "![", "[a](/(", "http://", "<a ", "<b>", "</b>", "<!--",
         "<script>",
         "&#", "&lt", "\\n", "a:\\n", "<@1", "> ", "- ", "1. ", "| ", "|-", "|---|", "```\n", ":a:", "a*", "*a",
         "[a]: x\n",
         "[a][b]", "[b]", "<sub a=\"", "<sup>", "\x1b[0;", "a@b.", "\U000f0000", "\U000ffffd"]  # fmt: skip


@pytest.mark.parametrize("sign", SIGNS, ids=repr)
def test_a_hostile_text_takes_time_in_proportion_to_its_length(sign: str) -> None:
    plain_text(sign * (100_000 // len(sign)))  # 0.1 to 0.7 s; anything worse than linear would take hours


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=60) | st.lists(st.sampled_from([*SIGNS, "5", "a", "word ", "°C", "我"]), max_size=25).map("".join)
)
def test_any_text_is_taken_and_becomes_one_line(text: str) -> None:
    plain = plain_text(text)
    assert "\n" not in plain or plain == text


@settings(deadline=None)
@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "äé我 .,;!?'\"()%€°$/"), max_size=60))
def test_text_without_markup_does_not_change(text: str) -> None:
    if text == text.strip() and not text[:1].isdigit() and not text.startswith("("):
        assert plain_text(text) == text


@pytest.mark.parametrize(
    "text", [text for text, _ in [*HTML, *SSML, *LINES, *MARKDOWN[:40]]], ids=lambda value: value[:40]
)
def test_the_second_time_nothing_changes(text: str) -> None:
    if text.startswith(("<![", "Use `", "\\*")):
        pytest.skip("it shows a sign of markup on purpose")
    assert plain_text(plain_text(text)) == plain_text(text)
