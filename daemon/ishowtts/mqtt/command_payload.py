"""Parses the payloads of commands, and of requests for a volume, a default voice or the history."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ishowtts.errors import CommandError
from ishowtts.limits import VOLUME
from ishowtts.model import Command
from ishowtts.mqtt import json_faults, strict_json
from ishowtts.mqtt.fields import (
    COMMAND_FIELDS,
    VOICE_FIELDS,
    VOLUME_FIELDS,
    BadField,
    check_fields,
    check_voice,
    check_volume,
    joined,
)
from ishowtts.mqtt.history_payload import HISTORY, USUAL_LIMIT, HistoryRequest
from ishowtts.mqtt.strict_json import BadJson, NotJson, clip

COMMANDS = ("skip", "stop", "pause", "resume", "mute", "unmute", "replay", "cancel", "reload", HISTORY)
_MAX_COMMAND_BYTES = 4096
_MAX_WORD_CHARS = 40
_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e"


class BadCommand(CommandError):
    """A command cannot be parsed. Carries its transaction and its command if these could be parsed."""

    def __init__(self, sentence: str, transaction: str | None = None, command: str = "") -> None:
        super().__init__(sentence)
        self.transaction = transaction
        self.command = command


def parse_command(payload: bytes) -> Command | HistoryRequest:
    """Parse a command: a word in any case, with or without quotes around it, or an object.

    Raises:
        BadCommand: it is not a command. The sentence says why.
    """
    text = _short_text(payload, "a command")
    if (found := _object(text, "command")) is None:
        return _known_command(text, {})
    valid, problems = check_fields(found, COMMAND_FIELDS)
    transaction = valid.get("transaction")
    if problems:
        raise BadCommand(joined(problems), transaction, _word(valid.get("command", "")))
    if "command" not in valid:
        raise BadCommand(f"command: is missing; one of {', '.join(COMMANDS)}", transaction)
    return _known_command(valid["command"], valid)


def parse_volume(payload: bytes) -> int:
    """Parse a volume from 0 to 100: a number, with or without quotes or `%`, or an object such as `{"volume": 55}`.

    Raises:
        BadCommand: it is not a volume.
    """
    text = _short_text(payload, "a volume")
    if (found := _object(text, "volume")) is not None:
        valid, problems = check_fields(found, VOLUME_FIELDS)
        if "volume" not in found:
            problems.append(f"volume: is missing; a whole number from {VOLUME[0]} to {VOLUME[1]}")
        if problems or "volume" not in valid:
            raise BadCommand(joined(problems) or "volume: is null; a whole number from 0 to 100")
        volume: int = valid["volume"]
        return volume
    try:
        return check_volume(_unquoted(text))
    except BadField as error:
        raise BadCommand(f"volume/set {error}") from error


def parse_voice(payload: bytes) -> str | None:
    """Parse the name of a voice: text, with or without quotes, or an object such as `{"voice": "anna"}`.

    Returns: `None` for `null`, which asks for the configured voice.

    Raises:
        BadCommand: it is not the name of a voice. Whether there is such a voice is not checked here.
    """
    text = _short_text(payload, "the name of a voice")
    if (found := _object(text, "voice")) is not None:
        valid, problems = check_fields(found, VOICE_FIELDS)
        if "voice" not in found:
            problems.append("voice: is missing; the name of a voice, or null for the configured one")
        if problems:
            raise BadCommand(joined(problems))
        return valid.get("voice")
    if not (name := _unquoted(text)):
        raise BadCommand("voice/set is empty; send the name of a voice, or null for the configured one")
    try:
        return None if text == "null" else str(check_voice(name))
    except BadField as error:
        raise BadCommand(f"voice/set {error}") from error


def _short_text(payload: bytes, what: str) -> str:
    if len(payload) > _MAX_COMMAND_BYTES:
        raise BadCommand(f"{what} has at most {_MAX_COMMAND_BYTES} bytes (got {len(payload)})")
    try:
        return json_faults.decode(payload)
    except ValueError as error:
        raise BadCommand(f"{what} {error}") from error


def _object(text: str, what: str) -> dict[str, Any] | None:
    """The object in the text; `None` if the text is a word or a number."""
    if not text.startswith("{"):
        if json_faults.looks_like_object(text):
            raise BadCommand(f"this is not a {what} object; {json_faults.correction(text)}")
        return None
    try:
        found: dict[str, Any] = strict_json.loads(text)
    except NotJson as error:
        advice = json_faults.correction(text, error)
        raise BadCommand(f"the {what} object is not valid JSON: {error}; {advice}") from error
    except BadJson as error:
        raise BadCommand(f"the {what} object is not valid JSON: {error}") from error
    return found


def _known_command(words: str, fields: Mapping[str, Any]) -> Command | HistoryRequest:
    line_id, author, transaction = fields.get("id"), fields.get("author"), fields.get("transaction")
    if not (word := _word(words)):
        similar = _similar(_lower(words))
        raise BadCommand(f"unknown command {clip(words)}; {similar}one of {', '.join(COMMANDS)}", transaction)
    if word == HISTORY:
        if line_id is not None or author is not None:
            raise BadCommand(f"{HISTORY} takes limit and before; leave out id and author", transaction, word)
        return HistoryRequest(fields.get("limit", USUAL_LIMIT), fields.get("before"), transaction)
    if not fields.keys().isdisjoint(("limit", "before")):
        raise BadCommand(f"limit and before are for {HISTORY}; leave them out", transaction)
    if word == "cancel" and line_id is None and author is None:
        raise BadCommand('cancel needs an id or an author, as in {"command": "cancel", "id": "…"}', transaction)
    if word != "cancel" and author is not None:  # `stop` would end the lines of everybody
        raise BadCommand(f"author: {word} is for all authors; the lines of one are ended with cancel", transaction)
    return Command(word, line_id, transaction, author)


def _word(words: str) -> str:
    """The command that some words mean; empty if it is none."""
    word = _lower(words)
    return word if word in COMMANDS else ""


def _lower(words: str) -> str:
    return _unquoted(words).rstrip(".!,; ").lower()


def _similar(word: str) -> str:
    """Part of a sentence: the command that somebody may have meant."""
    if word.startswith("volume"):
        return "a volume from 0 to 100 goes to the topic volume/set; "
    first = (word.split() or [""])[0]
    close = difflib.get_close_matches(first[:_MAX_WORD_CHARS], COMMANDS, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}? " if close else ""


def _unquoted(text: str) -> str:
    r"""The text without one pair of quotes around it and a `\n` in letters after it, as some shells send them."""
    text = text.strip().removesuffix(r"\n").removesuffix(r"\r")
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        return text[1:-1].strip()
    return text
