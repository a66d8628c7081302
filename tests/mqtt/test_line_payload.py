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
        (b"x" * 5000, f"{'x' * 500}… (cut; it has 5000 bytes)"),
        ("é".encode() * 5000, f"{'é' * 500}… (cut; it has 10000 bytes)"),
    ],
)
def test_a_rejection_has_the_head_of_what_was_sent(payload: bytes, sent: str) -> None:
    assert refused(payload).sent == sent


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
        }
    )
    assert line == Line("a1", "Hello.", "bob", Priority.HIGH, 5.0, 0.5, 64, 0, "bell", "me", 7)
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
        ("speed", 0.49), ("speed", 2.01), ("speed", "1"), ("speed", True), ("speed", [1]), ("speed", 10**400),
        ("nfe_step", 3), ("nfe_step", 65), ("nfe_step", 7.0), ("nfe_step", True), ("nfe_step", "7"),
        ("volume", -1), ("volume", 101), ("volume", 50.5), ("volume", False),
        ("ttl_s", 0), ("ttl_s", -1), ("ttl_s", 10**400), ("ttl_s", True), ("ttl_s", "5"), ("ttl_s", 1e300),
        ("priority", "urgent"), ("priority", "NORMAL"), ("priority", 1), ("priority", {}),
        ("chime", 1), ("chime", ""), ("chime", {"a": 1}),
        ("author", ""), ("author", 5), ("author", "a" * 129), ("author", "a\nb"),
        ("seed", -1), ("seed", 2**63), ("seed", 1.5), ("seed", True),
        ("id", ""), ("id", 5), ("id", "a" * 129), ("id", "a\x00"), ("id", "a\x85"), ("id", "\ud800"),
        ("id", []),
        ("voice", 5), ("voice", ""), ("voice", "a" * 129),
    ],
)  # fmt: skip
def test_a_field_of_a_wrong_type_or_range_is_named(field: str, value: object) -> None:
    rejection = refused({"text": "a", field: value})
    assert rejection.reason is Reason.BAD_FIELD
    assert rejection.detail.startswith(f"{field}: ")


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
