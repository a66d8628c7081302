"""Line payloads: what the contract accepts, and one clear reason for everything else."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.model import Line, Priority, Reason, Rejection, ReplyTo
from ishowtts.mqtt.line_payload import LineLimits, parse_line
from ishowtts.mqtt.publish_packet import MessageProperties
from ishowtts.util.rate_limit import RateLimit
from support.clock import Clock

LIMITS = LineLimits(max_chars=50, voices=lambda: ["anna", "bob"], reply_prefix="ishowtts/reply/")
JSON = MessageProperties(content_type="application/json; charset=utf-8")


def parse(payload: object, tail: str = "say", properties: MessageProperties | None = None) -> Line | Rejection:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    limits = replace(LIMITS, warnings=RateLimit(5))
    return parse_line(tail, raw, properties or MessageProperties(), limits)


def accepted(payload: object, tail: str = "say", properties: MessageProperties | None = None) -> Line:
    line = parse(payload, tail, properties)
    assert isinstance(line, Line), line
    return line


def refused(payload: object, tail: str = "say", properties: MessageProperties | None = None) -> Rejection:
    rejection = parse(payload, tail, properties)
    assert isinstance(rejection, Rejection), rejection
    return rejection


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"Hello.", "Hello."),
        ("Grüße, 世界 🎉".encode(), "Grüße, 世界 🎉"),
        (b"\xef\xbb\xbf  with a mark \n", "with a mark"),
        (b"{laughs} hi", "{laughs} hi"),
        (b"{ x", "{ x"),
        (b"[1, 2]", "[1, 2]"),
        (b"null", "null"),
        (b'"quoted"', '"quoted"'),
        (b"Hi.\0", "Hi."),
        (b"Hi.\r\n\0\0\0", "Hi."),
        (b"Hi,\0 there", "Hi,  there"),
        (b"{author} says: hi", "{author} says: hi"),
        (b"{{ states('x') }}", "{{ states('x') }}"),
        (b"{smile:)} hi", "{smile:)} hi"),
        (b"{'tis the season: buy}", "{'tis the season: buy}"),
        (b"'tis the season: buy", "'tis the season: buy"),
        (b"{} of 5: empty", "{} of 5: empty"),
        (b'["Hi", "there"]', '["Hi", "there"]'),
        (b"100% sure: yes", "100% sure: yes"),
        (b"b'Hello'", "b'Hello'"),
        (b"```Hi```", "```Hi```"),
        (b"eyJ is how base64 of a brace begins", "eyJ is how base64 of a brace begins"),
        (b"[object Object] is a fault", "[object Object] is a fault"),
        (b"Note: {laughs} hi", "Note: {laughs} hi"),
        (b"the set is x={1}", "the set is x={1}"),
        (b'He wrote {"text": "Hi"}', 'He wrote {"text": "Hi"}'),
    ],
)
def test_a_payload_that_is_not_an_object_is_text(payload: bytes, text: str) -> None:
    line = accepted(payload)
    assert line == Line(line.id, text)
    assert len(line.id) == 32


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (b'{"text": ', '{"text": '),
        (b'{"text": "hi", "voice": "nobody"}', '{"text": "hi", "voice": "nobody"}'),
        (b"...", "..."),
        (b"caf\xe9", "caf\ufffd"),
        (b'{"text": "\x00\x1b"', '{"text": "\x00\x1b"'),
        (b"x" * 5000, f"{'x' * 1000}… (cut; it has 5000 bytes)"),
        ("é".encode() * 5000, f"{'é' * 1000}… (cut; it has 10000 bytes)"),
    ],
)
def test_a_rejection_has_the_head_of_what_was_sent(payload: bytes, sent: str) -> None:
    assert refused(payload).sent == sent


@pytest.mark.parametrize(
    ("payload", "text", "author"),
    [
        (b'{"text": "hi", "voice": "nobody", "author": "Bob"}', "hi", "Bob"),
        (b'{"text": "hi", "author": "Bob", "speed": 99}', "hi", "Bob"),
        (b'{"text": 5, "author": "Bob"}', None, "Bob"),
        (b'{"author": "Bob"}', None, "Bob"),
        (b"...", "...", None),
        (b"x" * 5000, "x" * 1001, None),
        (b'{"text": "hi"', None, None),
        (b"hi\xff", None, None),
        (b'{"text": {"text": "hi"}}', None, None),
    ],
)
def test_a_rejection_has_the_text_and_the_author_if_they_can_be_read(
    payload: bytes, text: str | None, author: str | None
) -> None:
    rejection = refused(payload)
    assert (rejection.text, rejection.author) == (text, author)


def test_lines_without_an_id_get_different_ids() -> None:
    assert accepted(b"a").id != accepted(b"a").id


def test_every_field_of_an_object_is_parsed() -> None:
    line = accepted(
        {
            "text": "Hello.",
            "id": "a1",
            "voice": "bob",
            "priority": "high",
            "ttl_s": 5,
            "speed": 0.5,
            "nfe_step": 64,
            "volume": 0,
            "chime": "bell",
            "author": "me",
            "seed": 7,
            "language": "pt-BR",
        }
    )
    assert line == Line("a1", "Hello.", "bob", Priority.HIGH, 5.0, 0.5, 64, 0, "bell", "me", 7, "pt-BR")
    assert accepted({"text": "a", "chime": False}).chime is False


def test_a_null_field_counts_as_absent() -> None:
    line = accepted({"text": "a", "id": None, "speed": None, "voice": None})
    assert line == Line(line.id, "a")
    assert line.id


def test_an_object_may_follow_white_space() -> None:
    assert accepted(b' \n{"text": "a"}').text == "a"


def test_the_topic_sets_the_voice_and_the_priority() -> None:
    assert accepted(b"a", "say/anna").voice == "anna"
    assert accepted({"text": "a", "voice": "anna"}, "say/anna").voice == "anna"
    assert accepted({"text": "a", "priority": "low"}, "urgent").priority is Priority.URGENT
    clash = refused({"text": "a", "voice": "bob"}, "say/anna")
    assert clash.reason is Reason.BAD_FIELD
    assert "'bob'" in clash.detail
    assert "'anna'" in clash.detail


def test_the_message_expiry_counts_if_the_line_has_no_ttl() -> None:
    expiring = MessageProperties(expiry_s=30)
    assert accepted(b"a", properties=expiring).ttl_s == 30.0
    assert accepted({"text": "a", "ttl_s": 5}, properties=expiring).ttl_s == 5.0


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", Reason.EMPTY, "empty"),
        (b" \n\t", Reason.EMPTY, "empty"),
        ("\u200b\u00a0\x00".encode(), Reason.EMPTY, "empty"),
        ({"text": "  "}, Reason.EMPTY, "empty"),
        (b"x" * 51, Reason.TOO_LONG, "51"),
        ({"text": "é" * 51}, Reason.TOO_LONG, "50"),
        (b"ab\xff", Reason.BAD_UTF8, "byte 2"),
        (b'{"text": "\\ud800"}', Reason.BAD_UTF8, "surrogate"),
        (b'{"text": "a"', Reason.BAD_JSON, "character"),
        (b'{"', Reason.BAD_JSON, "valid JSON"),
        (b'{"text": "a', Reason.BAD_JSON, "Unterminated string starting at character 9"),
        (b'{"text": "a", "text": "b"}', Reason.BAD_JSON, "'text' is given twice"),
        (b'{ "text": "a", "text": "b"}', Reason.BAD_JSON, "'text' is given twice"),
        (b'{"text": "a", "speed": NaN}', Reason.BAD_JSON, "NaN"),
        (b'{"text": "a", "speed": -Infinity}', Reason.BAD_JSON, "Infinity"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, Reason.TOO_BIG, "bytes"),
        (b'{"text": "a", "seed": ' + b"9" * 5000 + b"}", Reason.BAD_JSON, "digits"),
        (b"x" * 100_000, Reason.TOO_BIG, "100000"),
        ({}, Reason.BAD_FIELD, "text: is missing"),
        ({"text": None}, Reason.BAD_FIELD, "text: is missing"),
        ({"text": 5}, Reason.BAD_FIELD, "text: must be"),
        ({"text": "a", "ttl_s": 0}, Reason.BAD_FIELD, "ttl_s: must be a number above 0 and at most 31622400 (got 0)"),
        ({"text": "a", "sped": 1}, Reason.BAD_FIELD, "'sped': unknown field; did you mean 'speed'?"),
        ({"text": "a", "qqqq": 1}, Reason.BAD_FIELD, "'qqqq': unknown field; known are text,"),
        ({"text": "a", "k" * 5000: 1}, Reason.BAD_FIELD, "unknown field"),
        ({"text": "a", "voice": "carl"}, Reason.UNKNOWN_VOICE, "'carl'; there are: anna, bob"),
    ],
)  # fmt: skip
def test_a_bad_payload_gets_a_reason_and_a_sentence(payload: object, reason: Reason, words: str) -> None:
    rejection = refused(payload)
    assert rejection.reason is reason, rejection
    assert words in rejection.detail
    assert len(rejection.detail) < 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("speed", 0.49), ("speed", 2.01), ("speed", "0,9"), ("speed", True), ("speed", [1]), ("speed", 10**400),
        ("nfe_step", 3), ("nfe_step", 65), ("nfe_step", 7.5), ("nfe_step", True), ("nfe_step", "7.5"),
        ("nfe_step", "seven"),
        ("speed", "inf"), ("speed", ""), ("speed", "1_0"), ("speed", "+1"), ("speed", "\u0661"), ("speed", "1x"),
        ("volume", -1), ("volume", 101), ("volume", 50.5), ("volume", False), ("volume", "101"),
        ("volume", "50.5"), ("volume", "%"), ("volume", "loud"), ("volume", [55]),
        ("ttl_s", 0), ("ttl_s", -1), ("ttl_s", 10**400), ("ttl_s", True), ("ttl_s", "0"), ("ttl_s", 1e300),
        ("priority", "urgent"), ("priority", "Urgent"), ("priority", "medium"), ("priority", 1), ("priority", {}),
        ("chime", 1), ("chime", ""), ("chime", {"a": 1}),
        ("author", ""), ("author", 5), ("author", "a" * 129), ("author", "a\nb"),
        ("seed", -1), ("seed", 2**63), ("seed", 1.5), ("seed", True),
        ("language", ""), ("language", "german"), ("language", "de_DE"), ("language", 5), ("language", ["de"]),
        ("language", "en" + "-abcdefgh" * 4), ("language", "d\u0435"), ("language", "de "), ("language", "auto"),
        ("id", ""), ("id", 5), ("id", "a" * 129), ("id", "a\x00"), ("id", "a\x85"), ("id", "\ud800"),
        ("id", []),
        ("voice", 5), ("voice", ""), ("voice", "a" * 129),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_or_range_is_named(field: str, value: object) -> None:
    rejection = refused({"text": "a", field: value})
    assert rejection.reason is Reason.BAD_FIELD
    assert rejection.detail.startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("field", "value", "parsed"),
    [
        ("volume", 55.0, 55), ("volume", "55", 55), ("volume", "55.0", 55), ("volume", "55 %", 55),
        ("volume", "55%", 55),
        ("volume", " 55\n", 55), ("volume", 1, 1), ("volume", "0", 0), ("volume", 0.0, 0), ("volume", "100", 100),
        ("speed", "0.9", 0.9), ("speed", "1", 1.0), ("speed", ".9", 0.9), ("speed", 1, 1.0),
        ("nfe_step", 7.0, 7), ("nfe_step", "7", 7), ("ttl_s", "60", 60.0), ("ttl_s", "0.5", 0.5),
        ("seed", "9007199254740993", 9007199254740993), ("seed", 7.0, 7),
        ("chime", "True", True), ("chime", "false", False), ("chime", "on", True), ("chime", "Off", False),
        ("chime", "yes", True), ("chime", "bell", "bell"),
        ("priority", "High", Priority.HIGH), ("priority", "LOW", Priority.LOW),
        ("priority", " normal ", Priority.NORMAL),
        ("language", "DE", "de"), ("language", "zh-hant-tw", "zh-Hant-TW"), ("language", "und", None),
        ("voice", None, None), ("volume", None, None), ("chime", None, None),
    ],
)  # fmt: skip
def test_a_value_in_the_form_of_a_template_engine_is_understood(field: str, value: object, parsed: object) -> None:
    line = accepted({"text": "a", field: value})
    assert getattr(line, field) == parsed
    assert type(getattr(line, field)) is type(parsed)


def test_what_is_not_the_tag_of_a_language_is_told_in_one_sentence() -> None:
    assert refused({"text": "a", "language": "german"}).detail == (
        "language: must be the tag of a language, as in de or pt-BR, with at most 35 letters, digits and hyphens"
        " (got 'german'); leave it out to have the language identified"
    )
    assert "'lang': unknown field; did you mean 'language'" in refused({"text": "a", "lang": "de"}).detail


@pytest.mark.parametrize("value", [0.5, 1.0, "0.5", "1.0", ".3", 0.01])
def test_a_volume_from_0_to_1_is_refused(value: object) -> None:
    rejection = refused({"text": "a", "volume": value})
    assert rejection.reason is Reason.BAD_FIELD
    assert "from 0 to 100" in rejection.detail
    assert "a scale from 0 to 1" in rejection.detail


OBJECT = '{"text": "Hi"}'


@pytest.mark.parametrize(
    ("payload", "advice"),
    [
        ("{'text': 'Hi'}", 'write double quotes (") instead of \''),
        ("{ 'text' : 'Hi', 'chime': True }", 'write double quotes (") instead of \''),
        ("{`text`: `Hi`}", 'write double quotes (") instead of `'),
        ("{''text'': ''Hi''}", 'write double quotes (") instead of \''),
        ("{\u201ctext\u201d: \u201cHi\u201d}", 'write straight quotes (") instead of \u201c'),
        ('{"text": \u201cHi\u201d}', 'write straight quotes (") instead of \u201c'),
        ("{\u2018text\u2019: \u2018Hi\u2019}", 'write double quotes (") instead of \u2018'),
        ("{\u00abtext\u00bb: \u00abHi\u00bb}", 'write straight quotes (") instead of \u00ab'),
        ("{&quot;text&quot;: &quot;Hi&quot;}", 'write a quote (") instead of &quot;'),
        ('{ "text": "Anna said "hello"" }', 'write a quote inside a text as \\"'),
        ('{"text": "Anna said "hello", then left."}', 'write a quote inside a text as \\"'),
        ('{"text": ""Hi" she said"}', 'write a quote inside a text as \\"'),
        ('{"text": "a 5" nail"}', 'write a quote inside a text as \\"'),
        (r'{\"text\": \"Hi\"}', "leave out the backslashes before its quotes"),
        (r'{ \"text\" : \"Hi\" }', "leave out the backslashes before its quotes"),
        ('{"text": "Hi",}', "leave out the comma before }"),
        ('{"text": "Hi", }', "leave out the comma before }"),
        ('{"text": "Hi",, "speed": 1}', "leave out one of two commas"),
        ('{"text": "Hi"', "its closing brace } is missing"),
        ('{"text": "Hi", "volume": 55', "its closing brace } is missing"),
        ('{"text":', "its end is missing"),
        ('{"text": "Hi', "no closing quote"),
        ('{"te', "no closing quote"),
        ("{text: 'Hi'}", "put the key 'text' into double quotes"),
        ("{text:Hi}", "put the key 'text' into double quotes"),
        ('{ Text : "Hi" }', "put the key 'Text' into double quotes"),
        ('{greeting: "Hi"}', "put the key 'greeting' into double quotes"),
        ('{"text": Hi}', "put the value 'Hi' into double quotes"),
        ('{"text": "Hi", "chime": True}', "write true instead of True"),
        ('{"text": "Hi", "chime": FALSE}', "write false instead of FALSE"),
        ('{"text": "Hi", "voice": None}', "write null instead of None"),
        ('{"text": "Hi", "voice": undefined}', "write null instead of undefined"),
        ('{"text": "Hi", "speed": 0,9}', "write a decimal point instead of the comma"),
        ('{"text": "Hi", "speed": .9}', "write a number as in 0.5 or 20"),
        ('{"text": "Hi", "volume": 055}', "without zeros before it"),
        ('{"text": "Hi", "volume": }', "a value is missing before }"),
        ('{"text": "Hi" "voice": "anna"}', "put a comma between two fields"),
        ('{"text" "Hi"}', "a colon must follow a key"),
        ('{"text" = "Hi"}', "a colon must follow a key"),
        ('{"text": "two\nlines"}', r"write a line break inside a text as \n"),
        (r'{"text": "C:\path"}', "write a backslash inside a text as \\\\"),
        (f"{OBJECT}{OBJECT}", "send one object in each message"),
        (f"{OBJECT}\n{OBJECT}", "send one object in each message"),
        (f"{OBJECT} thanks", "nothing may follow its last brace"),
        ('{ // greeting\n "text": "Hi"}', "leave out the comments"),
        ('{{"text": "Hi"}}', "write each brace once"),
        ("{{ {'text': 'Hi'} | tojson }}", "it is a template that nobody rendered"),
        (f"[{OBJECT}]", "send one object, not a list"),
        ("[{'text': 'Hi'}]", "send one object, not a list"),
        (json.dumps(OBJECT), "leave out the quotes around the object"),
        (json.dumps(json.dumps(OBJECT)), "leave out the quotes around the object"),
        (f"'{OBJECT}'", "leave out the quotes around the object"),
        ("'{text:Hi}'", "leave out the quotes around the object"),
        (f"b'{OBJECT}'", "not how Python prints bytes"),
        (f"```json\n{OBJECT}\n```", "leave out the ``` around the object"),
        ("%7B%22text%22%3A%22Hi%22%7D", "without percent-encoding"),
        ("eyJ0ZXh0IjogIkhpIHRoZXJlIn0=", "without base64"),
        ("[object Object]", "not how JavaScript prints objects"),
        (f"payload={OBJECT}", "leave out 'payload=' before the object"),
        ("msg: {'text': 'Hi'}", "leave out 'msg:' before the object"),
        ("\uff5b\u201ctext\u201d\uff1a\u201c\u4f60\u597d\u201d\uff5d", "write { } : , instead of"),
        ('{"text"\uff1a"\u4f60\u597d"}', "write : instead of \uff1a"),
        ('{"text": "\u4f60\u597d"\uff0c"volume": 5}', "write , instead of \uff0c"),
        ('{"text": "Hi"\uff5d', "write } instead of \uff5d"),
        ('{"text":\u00a0"Hi"}', "leave out the character U+00A0"),
        ('{\u200b"text": "Hi", "voice"\u200b: "anna"}', "leave out the character U+200B"),
        ('{, "text": "Hi"}', "leave out the comma after {"),
        ('{"text": "Hi", "volume": 50%}', "write the number without a unit"),
        ('{"text": "Hi", "ttl_s": 60s}', "write the number without a unit"),
        ('{"text": "Hi", "speed": 1.}', "write a number as in 0.5 or 20"),
    ],
)  # fmt: skip
def test_a_payload_that_is_nearly_an_object_is_refused_with_its_correction(payload: str, advice: str) -> None:
    for sent in (payload, f" {payload}\r\n\0", f"\ufeff{payload}"):
        rejection = refused(sent.encode())
        assert rejection.reason is Reason.BAD_JSON, rejection
        assert rejection.detail.endswith(advice) or advice in rejection.detail
        assert len(rejection.detail) < 200


def test_an_object_is_understood_with_a_nul_or_a_byte_order_mark() -> None:
    for payload in (
        rf"{OBJECT}\n",
        rf"{OBJECT}\r\n",
        f"{OBJECT}\0",
        f"{OBJECT}\n\0\0",
        f"\ufeff{OBJECT}",
        f"\ufeff \ufeff{OBJECT}",
        f"\u200b{OBJECT}",
    ):
        assert accepted(payload.encode()).text == "Hi"
        assert accepted(payload.encode(), properties=JSON).text == "Hi"
    assert accepted({"text": "Hi\0\0"}).text == "Hi"
    assert accepted({"text": "Hi\0there"}).text == "Hi there"


def test_an_object_as_text_is_refused() -> None:
    for text in (OBJECT, "{'text': 'Hi'}", json.dumps(OBJECT)):
        rejection = refused({"text": text})
        assert rejection.reason is Reason.BAD_FIELD
        assert rejection.detail.startswith("text: is itself an object")


@pytest.mark.parametrize(
    "payload", ["Hey you".encode("utf-16"), "Hey".encode("utf-16-le"), "Hey you".encode("utf-16-be")]
)
def test_utf_16_is_named(payload: bytes) -> None:
    rejection = refused(payload)
    assert rejection.reason is Reason.BAD_UTF8
    assert "UTF-16" in rejection.detail


def test_the_name_that_was_meant_is_proposed() -> None:
    for voice in ("Anna", "ANNA", "anna ", "ana"):
        assert "did you mean 'anna'? there are: anna, bob" in refused({"text": "a", "voice": voice}).detail
    assert "did you mean 'anna'?" in refused(b"a", "say/Anna").detail
    for field, guess in {"Text": "text", "message": "text", "TEXT": "text", "Voice": "voice", "user": "author"}.items():
        assert f"did you mean {guess!r}?" in refused({"text": "a", field: "x"}).detail


def test_a_template_that_nobody_rendered_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    limits = replace(LIMITS, template_warnings=RateLimit(1))
    for text in (b"It is {{ states('sensor.t') }} outside.", b"{% if x %}a{% endif %}"):
        assert isinstance(parse_line("say", text, MessageProperties(), limits), Line)
    parse_line("say", b"}} and {{", MessageProperties(), replace(LIMITS, template_warnings=RateLimit(1)))
    assert [record.getMessage() for record in caplog.records] == [
        next(r.getMessage() for r in caplog.records if "a template that nobody rendered" in r.getMessage())
    ]


def test_deep_nesting_does_not_raise() -> None:
    # Python releases differ in how deep they follow; then it is the field that is wrong.
    nested = refused(b'{"text":' + b"[" * 4000 + b"]" * 4000 + b"}")
    assert (nested.reason, nested.detail[:5]) in [(Reason.BAD_JSON, "the l"), (Reason.BAD_FIELD, "text:")]


def test_all_bad_fields_are_reported_together_and_the_id_is_kept() -> None:
    rejection = refused({"text": "a", "id": "mine", "speed": 9, "volume": "loud"})
    assert rejection.id == "mine"
    assert "speed: " in rejection.detail
    assert "volume: " in rejection.detail


def test_the_content_type_decides() -> None:
    assert accepted({"text": "a"}, properties=JSON).text == "a"
    for payload in (b"plain", b"{laughs} hi", b"[1]", b"5", b"null", b"", b"[" * 10_000):
        assert refused(payload, properties=JSON).reason is Reason.BAD_JSON
    assert refused(b"plain", properties=JSON).detail.endswith("; send an object, or text without a Content Type")
    assert refused(b'"plain"', properties=JSON).detail == 'the payload must be an object such as {"text": "Hello."}'
    assert refused(b"{'text': 'Hi'}", properties=JSON).detail.endswith("instead of '")


def test_an_empty_voice_in_the_topic_is_unknown() -> None:
    assert refused(b"a", "say/").reason is Reason.UNKNOWN_VOICE


def test_any_voice_is_accepted_while_the_voices_are_unknown() -> None:
    limits = LineLimits(50, lambda: None, "r/")
    line = parse_line("say/someone", b"a", MessageProperties(), limits)
    assert isinstance(line, Line)
    assert line.voice == "someone"


def test_an_unknown_chime_is_rejected() -> None:
    limits = LineLimits(50, lambda: None, "r/", chimes=lambda: ["default", "bell"])

    def asked(chime: object) -> Line | Rejection:
        return parse_line("say", json.dumps({"text": "a", "chime": chime}).encode(), MessageProperties(), limits)

    for chime in (True, False, None, "bell", "default"):
        line = asked(chime)
        assert isinstance(line, Line)
        assert line.chime == chime
    for chime in ("gong", "../bell", "bell.wav", "/etc/passwd"):
        refusal = asked(chime)
        assert isinstance(refusal, Rejection)
        assert refusal.reason is Reason.BAD_FIELD
        assert refusal.detail == f"chime: there is no chime {chime!r}; there are: bell, default"


def test_a_text_of_any_length_is_accepted_without_max_chars() -> None:
    limits = LineLimits(None, lambda: None, "r/")
    line = parse_line("say", json.dumps({"text": "x" * 500_000}).encode(), MessageProperties(), limits)
    assert isinstance(line, Line)
    assert len(line.text) == 500_000
    refusal = parse_line("say", b"x" * (limits.max_bytes + 1), MessageProperties(), limits)
    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.TOO_BIG


def test_signs_alone_are_accepted_if_a_later_step_names_them() -> None:
    limits = LineLimits(50, lambda: None, "r/", signs=True)
    line = parse_line("say", "🎉".encode(), MessageProperties(), limits)
    assert isinstance(line, Line)
    assert line.text == "🎉"
    refusal = parse_line("say", b" ", MessageProperties(), limits)
    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.EMPTY


def test_response_topics_outside_the_reply_prefix_are_ignored(caplog: pytest.LogCaptureFixture) -> None:
    good = MessageProperties(response_topic="ishowtts/reply/x", correlation=b"1")
    assert accepted(b"a", properties=good).reply_to == ReplyTo("ishowtts/reply/x", b"1")
    assert refused(b"", properties=good).reply_to == ReplyTo("ishowtts/reply/x", b"1")
    assert not caplog.records
    for topic in ("ishowtts/unit/say", "ishowtts/reply/", "ishowtts/reply/#", "ishowtts/reply/+/a", "x", ""):
        caplog.clear()
        assert accepted(b"a", properties=MessageProperties(response_topic=topic)).reply_to is None
        assert [r.levelno for r in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("ishowtts/reply/" + "a/" * 17 + "a", True),  # 20 levels
        ("ishowtts/reply/" + "a/" * 18 + "a", False),
        ("ishowtts/reply/" + "/" * 200, False),
        ("ishowtts/reply/\ufdd0", False),
        ("ishowtts/reply/\U0001ffff", False),
        ("ishowtts/reply/\U0001f600", True),
    ],
)
def test_a_response_topic_that_a_broker_may_refuse_is_ignored(topic: str, kept: bool) -> None:
    assert (accepted(b"a", properties=MessageProperties(response_topic=topic)).reply_to is not None) == kept


def test_correlation_data_has_a_maximum_size() -> None:
    """Each line that waits and each row of the history keeps it."""
    for size, kept in ((4096, True), (4097, False)):
        properties = MessageProperties(response_topic="ishowtts/reply/x", correlation=bytes(size))
        assert (accepted(b"a", properties=properties).reply_to is not None) == kept
        assert (refused(b"", properties=properties).reply_to is not None) == kept


def test_a_flood_of_bad_response_topics_logs_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    limits = replace(LIMITS, warnings=RateLimit(5, clock))
    for number in range(1000):
        elsewhere = MessageProperties(response_topic=f"elsewhere/{number}")
        parse_line("say", b"a", elsewhere, limits)
        parse_line("say", b"a", MessageProperties(response_topic="ishowtts/reply/x", correlation=bytes(5000)), limits)
    assert len(caplog.records) == 5
    assert (
        "'elsewhere/0' is ignored: answers are published only under ishowtts/reply/" in caplog.records[0].getMessage()
    )
    assert "its Correlation Data has 5000 bytes; at most 4096 are kept" in caplog.records[1].getMessage()
    clock.now_s += 10
    parse_line("say", b"a", elsewhere, limits)
    assert [record.getMessage() for record in caplog.records[5:6]] == ["1995 more response topics were ignored"]
    assert len(caplog.records) == 7


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u202e", "\u2066", "\u200b", "\u200d", "\x1b", "\x9b", "\udc80"])
@pytest.mark.parametrize("key", ["id", "voice", "author", "chime"])
def test_a_name_with_characters_that_forge_a_log_line_is_rejected(key: str, char: str) -> None:
    body = json.dumps({"text": "a", key: f"anna{char}"}).encode()
    if (key, char) in (("author", "\u200b"), ("author", "\u200d")):
        assert accepted(body).author == f"anna{char}"
        return
    refusal = refused(body)
    assert refusal.reason is Reason.BAD_FIELD
    assert refusal.detail.startswith(f"{key}: must not contain the character U+{ord(char):04X}; ")


@pytest.mark.parametrize("author", ["نیم\u200cفاصله", "क्\u200dष", "👩\u200d🚀", "דנה\u200f", "🏴\U000e0067\U000e007f"])
def test_names_of_people_keep_the_invisible_characters_that_they_need(author: str) -> None:
    assert accepted({"text": "a", "author": author}).author == author


def test_a_hundred_thousand_unknown_fields_are_rejected_quickly() -> None:
    body = json.dumps({"text": "a"} | {f"x{number}": 0 for number in range(100_000)}).encode()
    began_s = time.process_time()
    refusal = parse_line("say", body, MessageProperties(), replace(LIMITS, max_chars=None))
    assert time.process_time() - began_s < 1.0
    assert isinstance(refusal, Rejection)
    assert refusal.detail.endswith("; and 99995 more")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(
    [
        "text",
        "id",
        "voice",
        "priority",
        "ttl_s",
        "speed",
        "nfe_step",
        "volume",
        "chime",
        "author",
        "seed",
        "language",
        "x",
    ]
)
payloads = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.dictionaries(fields, anything, max_size=6).map(lambda found: json.dumps(found).encode()),
    st.binary(max_size=50).map(lambda rest: b'{"' + rest),
)


@settings(max_examples=400, deadline=None)
@given(
    payload=payloads,
    tail=st.sampled_from(["say", "urgent", "say/anna"]) | st.text().map(lambda voice: f"say/{voice}"),
    properties=st.builds(
        MessageProperties,
        content_type=st.none() | st.just("application/json") | st.text(),
        response_topic=st.none() | st.text() | st.text().map(lambda rest: f"ishowtts/reply/{rest}"),
        correlation=st.none() | st.binary(max_size=5),
        expiry_s=st.none() | st.integers(0, 2**32 - 1),
    ),
)
def test_any_payload_is_a_line_or_a_rejection(payload, tail, properties) -> None:
    arrival = parse_line(tail, payload, properties, LIMITS)
    assert 1 <= len(arrival.id) <= 128
    if isinstance(arrival, Line):
        assert 1 <= len(arrival.text) <= 50
        arrival.text.encode()
        assert arrival.voice in (None, "anna", "bob")
    else:
        assert arrival.detail
        arrival.detail.encode()


@pytest.mark.parametrize(
    ("payload", "author"),
    [
        ('{"text": "hi", "author": "Zed", "speed": 99}', "Zed"), ('{"author": "Zed"}', "Zed"),
        ('{"text": "hi", "author": "Zed", "speeed": 1}', "Zed"), ('{"text": "", "author": "Zed"}', "Zed"),
        ('{"text": "hi", "author": "Zed", "voice": "nobody"}', "Zed"), ('{"text": "hi", "author": {}}', None),
        ('{"text": "hi", "author": "Zed",', None), ("", None), ("[]", None),
    ],
)  # fmt: skip
def test_a_rejection_keeps_the_author_that_can_be_read(payload: str, author: str | None) -> None:
    rejection = parse(payload.encode())
    assert isinstance(rejection, Rejection)
    assert rejection.author == author
