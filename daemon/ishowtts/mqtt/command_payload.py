"""Parses the payloads of commands and of volume requests."""

from __future__ import annotations

import re

from ishowtts.errors import CommandError
from ishowtts.limits import VOLUME
from ishowtts.model import Command
from ishowtts.mqtt import strict_json
from ishowtts.mqtt.fields import COMMAND_FIELDS, check_fields, joined
from ishowtts.mqtt.strict_json import BadJson, NotJson, clip

COMMANDS = ("skip", "stop", "pause", "resume", "mute", "unmute", "replay", "cancel")
_MAX_COMMAND_BYTES = 4096


class BadCommand(CommandError):
    """A command cannot be parsed. Carries its transaction if that could be parsed."""

    def __init__(self, sentence: str, transaction: str | None = None) -> None:
        super().__init__(sentence)
        self.transaction = transaction


def parse_command(payload: bytes) -> Command:
    """Parse a command: a word or an object.

    Raises:
        BadCommand: it is not a command. The sentence says why.
    """
    text = _short_text(payload, "a command")
    if not text.startswith("{"):
        return _known_command(text, None, None)
    try:
        found = strict_json.loads(text)
    except (NotJson, BadJson) as error:
        raise BadCommand(f"the command object is not valid JSON: {error}") from error
    valid, problems = check_fields(found, COMMAND_FIELDS)
    transaction = valid.get("transaction")
    if problems:
        raise BadCommand(joined(problems), transaction)
    if "command" not in valid:
        raise BadCommand(f"command: is missing; one of {', '.join(COMMANDS)}", transaction)
    return _known_command(valid["command"], valid.get("id"), transaction)


def parse_volume(payload: bytes) -> int:
    """Parse a volume from 0 to 100.

    Raises:
        BadCommand: it is not a volume.
    """
    text = _short_text(payload, "a volume")
    number = re.fullmatch(r"([0-9]{1,3})(?:\.0+)?", text)
    if number is None or int(number[1]) > VOLUME[1]:
        raise BadCommand(f"volume/set takes a whole number from {VOLUME[0]} to {VOLUME[1]} (got {clip(text)})")
    return int(number[1])


def _short_text(payload: bytes, what: str) -> str:
    if len(payload) > _MAX_COMMAND_BYTES:
        raise BadCommand(f"{what} has at most {_MAX_COMMAND_BYTES} bytes (got {len(payload)})")
    try:
        return payload.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadCommand(f"{what} must be UTF-8 (byte {error.start} is not)") from error


def _known_command(word: str, line_id: str | None, transaction: str | None) -> Command:
    if word not in COMMANDS:
        raise BadCommand(f"unknown command {clip(word)}; one of {', '.join(COMMANDS)}", transaction)
    if word == "cancel" and line_id is None:
        raise BadCommand('cancel needs a line: {"command": "cancel", "id": "…"}', transaction)
    return Command(word, line_id, transaction)
