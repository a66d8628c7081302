"""Command payloads: the commands and volumes that the contract accepts, and a sentence for everything else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.errors import CommandError
from ishowtts.model import Command
from ishowtts.mqtt.command_payload import COMMANDS, BadCommand, parse_command, parse_voice, parse_volume
from ishowtts.mqtt.history_payload import HistoryRequest

_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=3)
_FIELDS = st.sampled_from(["command", "id", "transaction", "limit", "before", "x"])
_PAYLOADS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.dictionaries(_FIELDS, _VALUES | st.sampled_from(COMMANDS)).map(lambda found: json.dumps(found).encode()),
)


@settings(max_examples=200, deadline=None)
@given(payload=_PAYLOADS)
def test_any_payload_is_a_command_or_a_command_error(payload: bytes) -> None:
    for parse_it in (parse_command, parse_volume, parse_voice):
        with contextlib.suppress(CommandError):
            parse_it(payload)


def test_a_command_is_a_word_or_an_object() -> None:
    for word in COMMANDS:
        if word not in ("cancel", "history"):
            assert parse_command(f" {word}\n".encode()) == Command(word)
    assert parse_command(b'{"command": "skip"}') == Command("skip")
    assert parse_command(b'{"command": "cancel", "id": "a", "transaction": "t"}') == Command("cancel", "a", "t")
    assert parse_command(b'{"command": "cancel", "author": "Bob"}') == Command("cancel", author="Bob")
    assert parse_command(b'{"command": "Cancel", "author": "Bob", "id": "a"}') == Command("cancel", "a", author="Bob")


@pytest.mark.parametrize(
    ("payload", "words", "transaction"),
    [
        (b"", "unknown command", None),
        (b"SKIPPED", "'SKIPPED'; did you mean 'skip'?", None),
        (b"stopp", "did you mean 'stop'?", None),
        (b"Stop now", "'Stop now'; did you mean 'stop'?", None),
        (b"volume 50", "volume/set", None),
        (b'["stop"]', "unknown command", None),
        (b"{'command': 'stop'}", "double quotes", None),
        (b'\'{"command": "stop"}\'', "leave out the quotes around the object", None),
        (b"{command:stop}", "'command' into double quotes", None),
        (b'{"cmd": "stop", "transaction": "t"}', "did you mean 'command'?", "t"),
        (b"s\0t\0o\0p\0", "UTF-16", None),
        (b"\xff", "UTF-8", None),
        (b"x" * 5000, "4096", None),
        (b"cancel", "needs an id or an author", None),
        (b'{"command": "cancel", "author": null, "transaction": "t"}', "needs an id or an author", "t"),
        (b'{"command": "stop", "author": "Bob", "transaction": "t"}', "author: stop is for all authors", "t"),
        (b'{"command": "cancel", "author": ["Bob"]}', "author: must be", None),
        (b'{"command": "cancel", "user": "Bob"}', "did you mean 'author'?", None),
        (b"{skip}", "valid JSON", None),
        (b'{"id": "a"}', "command: is missing", None),
        (b'{"command": 5, "transaction": "t"}', "command: must be", "t"),
        (b'{"command": "skip", "transaction": "t", "ids": 1}', "did you mean 'id'", "t"),
        (b'{"command": "explode", "transaction": "t"}', "'explode'", "t"),
        (b'{"command": "stop", "limit": 5, "transaction": "t"}', "limit and before are for history", "t"),
    ],
)
def test_a_bad_command_gets_a_sentence_and_keeps_its_transaction(
    payload: bytes, words: str, transaction: str | None
) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_command(payload)
    assert words in str(caught.value)
    assert caught.value.transaction == transaction


def test_a_request_for_the_history_has_a_limit_and_a_cursor() -> None:
    assert parse_command(b"History.") == HistoryRequest()
    assert parse_command(b'{"command": "history", "limit": null, "before": null}') == HistoryRequest(50)
    asked = {"command": "history", "limit": "5", "before": str(2**63 - 1), "transaction": "t"}
    assert parse_command(json.dumps(asked).encode()) == HistoryRequest(5, 2**63 - 1, "t")


@pytest.mark.parametrize(
    "fields",
    [
        *({"limit": limit} for limit in (0, 101, -1, 1.5, "many", True, [1], 10**400)),
        *({"before": cursor} for cursor in (5, "0", "-1", "x", "", "1.0", "٣", str(2**63), "9" * 500, {"a": 1}, " 7")),
        {"id": "a"},
        {"author": "Bob"},
        {"until": "7"},
    ],
)
def test_a_bad_request_for_the_history_is_known_to_be_one(fields: dict[str, object]) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_command(json.dumps({"command": "history", "transaction": "t", **fields}).encode())
    assert (caught.value.command, caught.value.transaction) == ("history", "t")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("char", ["\u2028", "\u202e", "\u200b", "\x1b", "\x9b", "\udc80"])
def test_a_transaction_with_characters_that_forge_a_log_line_is_refused(char: str) -> None:
    with pytest.raises(BadCommand, match=r"transaction: must not contain the character U\+"):
        parse_command(json.dumps({"command": "skip", "transaction": f"t{char}"}).encode())


WORDS = [
    b"stop\0\0", b"\xef\xbb\xbfstop", b"stop\r\n\0", b'"stop"', b"'stop'", b"STOP", b" Stop ", b"stop.", b"Stop!",
    "\u201cstop\u201d".encode(), b'"Stop"\0', b'{"command": "Stop"}', b'{"command": "stop"}\0\0\0',
    b'{"command": " STOP\\n"}', rb"stop\n", rb'"stop"\r\n', b"stop;", b"STOP!!!", rb'{"command": "stop"}\n',
]  # fmt: skip


@pytest.mark.parametrize("payload", WORDS)
def test_a_command_is_understood_in_any_case_with_quotes_and_with_a_nul(payload: bytes) -> None:
    assert parse_command(payload) == Command("stop")


@pytest.mark.parametrize(
    ("payload", "volume"),
    [
        (b"0", 0), (b" 80\n", 80), (b"100", 100), (b"35.0", 35), (b"55\0", 55), (b"55\0\0\0", 55), (b"5\0\0\0", 5),
        (b"5" + b"\0" * 9, 5),
        (b"1", 1), (b"1%", 1), (b"55%", 55), (b"55 %", 55), (b'"55"', 55), (b"'55'", 55), (b'"55.0"', 55), (b"0.0", 0),
        (b"100.0", 100), (b"055", 55), (b'{"volume": 55}', 55), (b'{"volume": "55"}\0', 55), (b'{"volume": 55.0}', 55),
        (b"\xef\xbb\xbf55", 55), (rb"55\n", 55), (rb'{"volume": 55}\n', 55), (b"55.00 %", 55),
    ],
)  # fmt: skip
def test_a_volume_is_a_whole_number_up_to_100(payload: bytes, volume: int) -> None:
    assert parse_volume(payload) == volume


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"-1", b"101", b"1e1", b"50.5", b"nan", b"\xff", "\u0663".encode(), b"{}", b"9" * 50, b"+5", b"50,5",
        b"fifty",
        b"NaN", b"inf", b"[55]", b"null", b"true", b"5_0", b'{"volume": null}', b'{"volume": 500}', b'{"value": 55}',
        b"{'volume': 55}", b"{volume:55}", b'{"volume": 55', b'{"volume": true}',
    ],
)  # fmt: skip
def test_anything_else_is_not_a_volume(payload: bytes) -> None:
    with pytest.raises(BadCommand, match="volume"):
        parse_volume(payload)


@pytest.mark.parametrize("payload", [b"1.0", b"0.5", b".5", b"0.55", b"1.00", b"1.0\0", b'{"volume": 0.5}', b'"0.5"'])
def test_a_volume_from_0_to_1_is_refused_because_1_percent_is_nearly_silent(payload: bytes) -> None:
    with pytest.raises(BadCommand, match=r"volume.* from 0 to 100 .*a scale from 0 to 1: send "):
        parse_volume(payload)


@pytest.mark.parametrize(
    ("payload", "voice"),
    [
        (b"anna", "anna"), (b' "anna"\n', "anna"), (b"anna\0\0", "anna"), (rb"anna\n", "anna"), (b"'anna'", "anna"),
        (b'{"voice": "anna"}\0', "anna"), (b"null", None), (b'{"voice": null}', None), (b'"null"', "null"),
        (b"null\0", None), (b"Anna", "Anna"), (b"default", "default"),
    ],
)  # fmt: skip
def test_a_default_voice_is_a_name_or_null(payload: bytes, voice: str | None) -> None:
    assert parse_voice(payload) == voice


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "voice/set is empty; send the name of a voice, or null for the configured one"),
        (b'""', "voice/set is empty"),
        (b"\0", "voice/set is empty"),
        (b"{}", "voice: is missing; the name of a voice, or null"),
        (b'{"voice": 5}', "voice: must be the name of a voice"),
        (b'{"speaker": "anna"}', "did you mean 'voice'?"),
        (b"{'voice': 'anna'}", "double quotes"),
        (b"a" * 200, "1 to 128 characters"),
        (b"an\x1bna", "U+001B"),
        (b"\xff", "UTF-8"),
    ],
)
def test_what_is_no_name_of_a_voice_is_refused(payload: bytes, words: str) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_voice(payload)
    assert words in str(caught.value)
