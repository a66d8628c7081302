"""Asks appliances to do something, over MQTT, and waits for their answers."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal
from weakref import WeakValueDictionary

from ishowtts.limits import NAME
from ishowtts.model import VoiceAbout
from ishowtts.mqtt.strict_json import dumps
from ishowtts_gateway.appliances.appliance_directory import REPLY, ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import OFFLINE, ApplianceRecord
from ishowtts_gateway.appliances.awaited_answer import ANSWER_S, Answer
from ishowtts_gateway.appliances.broker_link import BrokerLink
from ishowtts_gateway.appliances.message_backlog import LinkMessage
from ishowtts_gateway.appliances.published_value import parse_object, text
from ishowtts_gateway.appliances.voice_upload import VoicePublisher
from ishowtts_gateway.gateway_error import GatewayError, PublishRefused

log = logging.getLogger(__name__)

Controls = Literal["auto", "none", "say", "all"]
Control = Literal["say", "command", "voices"]

_OFFLINE_ANSWER_S = 2.0
_MAX_REQUESTS = 200
_MAX_REPLY_BYTES = 262_144
_MAX_ID_CHARS = 128
_MAX_LINE_BYTES = 65_536
_MAX_DETAIL_CHARS = 500
_FIRST_EVENTS = frozenset({"accepted", "rejected", "duplicate", "merged"})
_HISTORY_LIMIT = (1, 100)
_MAX_CURSOR_CHARS = 200
_USER_IN_TOPIC = re.compile(r"[^+#/\0]{1,64}")

Matches = Callable[[str, dict[str, Any]], bool]


def new_reply_root(prefix: str, username: str | None) -> str:
    """The root of a topic for answers, which only we know: `<prefix>/reply/<user>/<random>`.

    Args:
        prefix: `mqtt.prefix`.
        username: Our user at the broker, who may read `<prefix>/reply/<user>/…`; `None`: anonymous.
    """
    user = username if username and _USER_IN_TOPIC.fullmatch(username) else "gateway"
    return f"{prefix}/{REPLY}/{user}/{secrets.token_hex(8)}"


class ApplianceRequests:
    """Sends requests to appliances.

    Args:
        directory: Its events are answers.
        link: The connection to the broker.
        reply_root: The topic under which answers to us come. See `new_reply_root`.
        controls: `gateway.controls`.
        answer_s: How long an appliance may take to answer.
    """

    def __init__(
        self,
        directory: ApplianceDirectory,
        link: BrokerLink,
        *,
        reply_root: str,
        controls: Controls,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._directory = directory
        self._link = link
        self._configured = controls
        self._answer_s = answer_s
        self._waiting: dict[bytes, tuple[Matches, Answer]] = {}  # by their Correlation Data
        self._turns: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()
        self._forbidden: set[str] = set()  # devices whose commands the broker does not let us publish
        self._reply_root = reply_root
        self._voices = VoicePublisher(link, self.expect)
        directory.add_event_listener(self._event_arrived)

    def controls(self, device: str) -> dict[str, bool]:
        """What may be done with a device: `say` a line, send a `command`, change `voices`, read its `history`."""
        record = self._record(device)
        allowed = device not in self._forbidden
        say = self._configured in ("say", "all") or (self._configured == "auto" and allowed)
        command = self._configured == "all" or (self._configured == "auto" and allowed)
        voices = command and (record.info or {}).get("voices_over_mqtt") is True
        return {"say": say, "command": command, "voices": voices, "history": allowed}

    async def say(self, device: str, line: Mapping[str, Any], urgent: bool = False) -> dict[str, Any]:
        """Publish a line. Returns the first event of it: `accepted`, `rejected`, `duplicate` or `merged`.

        Raises:
            GatewayError: it cannot be published, or the appliance does not answer.
        """
        record = self._permitted(device, "say")
        line_id = text(line.get("id"), _MAX_ID_CHARS) or f"gateway-{secrets.token_hex(8)}"
        payload = _payload({**line, "id": line_id})

        def first_of_it(name: str, event: dict[str, Any]) -> bool:
            return name == device and event.get("id") == line_id and event.get("event") in _FIRST_EVENTS

        async with self._turn(device, "say", line_id), self._expect(device, first_of_it) as answer:
            await self._publish(record, "urgent" if urgent else "say", payload, answer)
            return await self._answer(record, answer, "the line waits at the broker until it is back")

    async def command(self, device: str, command: Mapping[str, Any]) -> dict[str, Any]:
        """Send a command. Returns the `command` event of its transaction."""
        record = self._permitted(device, "command")
        transaction = text(command.get("transaction"), _MAX_ID_CHARS) or secrets.token_hex(8)
        payload = _payload({**command, "transaction": transaction})
        async with self._turn(device, "command", transaction), self.expect(device, transaction) as answer:
            await self._publish(record, "command", payload)
            return await self._answer(record, answer)

    async def set_volume(self, device: str, volume: int) -> dict[str, Any]:
        """Set the volume, in percent. Returns the `command` event."""
        return await self._set_level(device, "volume", volume)

    async def set_voice(self, device: str, voice: str | None) -> dict[str, Any]:
        """Set the default voice; `None`: the configured one. Returns the `command` event."""
        return await self._set_level(device, "voice", voice)

    async def add_voice(
        self, device: str, name: str, *, audio: bytes, text: str, replace: bool = False, language: str | None = None
    ) -> dict[str, Any]:
        """Send a recording whose speaker has agreed; it becomes a voice. Returns the `command` event.

        Args:
            audio: The recording: WAV, FLAC, Ogg or MP3.
            text: The words that are spoken in it.
            replace: Replace a voice of this name that came over MQTT.
            language: Tag of the language of the words; `None`: the usual one of the appliance.
        """
        record = self._permitted(device, "voices")
        return await self._voices.add(record, name, audio, VoiceAbout(text, replace, language))

    async def remove_voice(self, device: str, name: str) -> dict[str, Any]:
        """Remove a voice that came over MQTT. Returns the `command` event."""
        record = self._permitted(device, "voices")
        return await self._voices.remove(record, name)

    async def history(self, device: str, limit: int = 50, before: str | None = None) -> dict[str, Any]:
        """Ask for lines of the history, newest first. Returns the reply of the contract.

        Args:
            limit: 1 to 100.
            before: `next` of an earlier reply; `None`: the newest lines.
        """
        record = self._record(device)
        low, high = _HISTORY_LIMIT
        if not low <= limit <= high:
            raise GatewayError(400, f"limit must be from {low} to {high}")
        if not self._link.mqtt5:
            raise GatewayError(502, "older lines need MQTT 5; set mqtt.protocol: 5")
        if before is not None and len(before) > _MAX_CURSOR_CHARS:
            raise GatewayError(400, "before must be `next` of an earlier answer")
        asked = {"limit": limit} if before is None else {"limit": limit, "before": before}
        transaction = secrets.token_hex(8)
        async with self.expect(device, transaction) as answer:
            await self._ask_history(record, {**asked, "transaction": transaction}, answer)
            reply = await self._answer(record, answer)
        lines = reply.get("lines")
        if reply.get("ok") is False or not isinstance(lines, list) or not all(map(_has_id, lines)):
            detail = text(reply.get("detail"), _MAX_DETAIL_CHARS) or "its answer has no lines; update it"
            raise GatewayError(502, f"{device} does not show its history: {detail}")
        return reply

    @asynccontextmanager
    async def expect(self, device: str, transaction: str) -> AsyncIterator[Answer]:
        """Wait for the `command` event of a transaction: publish inside of the block, then call `wait`."""

        def of_transaction(name: str, event: dict[str, Any]) -> bool:
            return name == device and event.get("event") == "command" and event.get("transaction") == transaction

        async with self._expect(device, of_transaction) as answer:
            yield answer

    async def probe(self, device: str) -> None:
        """Find out whether the broker lets us send commands to a device, without waiting for an answer."""
        if self._link.mqtt5:
            await self._ask_history(self._record(device), {"limit": 1}, Answer(device))

    def forbidden(self, device: str) -> bool:
        """Whether the broker did not let us send a command to a device."""
        return device in self._forbidden

    def refresh_controls(self, device: str) -> None:
        """Tell the watchers what may be done with a device now."""
        if device in self._directory.records:
            self._directory.set_controls(device, self.controls(device))

    def reply_arrived(self, message: LinkMessage) -> bool:
        """Take a message if it is a reply to us. Returns whether it is one."""
        if not message.topic.startswith(f"{self._reply_root}/"):
            return False
        _, answer = self._waiting.get(message.correlation or b"", (None, None))
        if answer is not None:
            try:
                answer.set(parse_object(message.payload, _MAX_REPLY_BYTES))
            except ValueError as error:
                log.debug("a reply is ignored: %s", error)
        return True

    def _event_arrived(self, device: str, event: dict[str, Any]) -> None:
        for matches, answer in list(self._waiting.values()):
            if matches(device, event):
                answer.set(event)

    def _record(self, device: str) -> ApplianceRecord:
        record = self._directory.records.get(device)
        if record is None:
            name = device if NAME.fullmatch(device) else "of that name"
            raise GatewayError(404, f"there is no device {name}")
        return record

    def _permitted(self, device: str, control: Control) -> ApplianceRecord:
        record = self._record(device)
        if not self.controls(device)[control]:
            takes_voices = (record.info or {}).get("voices_over_mqtt") is True
            why = (
                "engine.f5.voices_over_mqtt is not true there"
                if control == "voices" and not takes_voices
                else "the broker does not let the gateway's user do that; "
                "give it the lines of `user gateway` in ishowtts.acl"
                if device in self._forbidden and self._configured == "auto"
                else f"gateway.controls is {self._configured}"
            )
            raise GatewayError(403, f"{device}: this is not allowed here: {why}")
        return record

    async def _set_level(self, device: str, name: str, value: int | str | None) -> dict[str, Any]:
        record = self._permitted(device, "command")

        def of_level(found: str, event: dict[str, Any]) -> bool:
            return found == device and event.get("event") == "command" and event.get("command") == name

        # These requests have no transaction: one at a time, so that each gets its own answer.
        async with self._turn(device, name), self._expect(device, of_level) as answer:
            await self._publish(record, f"{name}/set", dumps(value))
            return await self._answer(record, answer)

    def _turn(self, *key: str) -> asyncio.Lock:
        """The lock of requests whose answers cannot be told from each other."""
        return self._turns.setdefault(key, asyncio.Lock())

    @asynccontextmanager
    async def _expect(self, device: str, matches: Matches) -> AsyncIterator[Answer]:
        if len(self._waiting) >= _MAX_REQUESTS:
            raise GatewayError(429, "too many requests wait for an answer; try again later")
        answer = Answer(device)
        self._waiting[answer.correlation] = (matches, answer)
        try:
            yield answer
        finally:
            del self._waiting[answer.correlation]

    async def _ask_history(self, record: ApplianceRecord, fields: Mapping[str, Any], answer: Answer) -> None:
        """Publish the command `history`, and remember whether the broker permits commands."""
        payload = _payload({"command": "history", **fields})
        try:
            await self._publish(record, "command", payload, answer)
        except PublishRefused as error:
            if error.forbidden:
                self._forbidden &= self._directory.records.keys()  # without those that are gone
                self._forbidden.add(record.name)
                self.refresh_controls(record.name)
            raise
        self._forbidden.discard(record.name)
        self.refresh_controls(record.name)

    async def _publish(self, record: ApplianceRecord, tail: str, payload: bytes, answer: Answer | None = None) -> None:
        """Publish below the root of an appliance.

        Args:
            answer: May come at a response topic of ours too; `None`: only as an event.
        """
        topic = f"{record.root}/{tail}"
        if answer is None:
            reached = await self._link.publish(topic, payload)
        else:
            reply_topic = f"{self._reply_root}/{record.name}"
            reached = await self._link.publish(
                topic, payload, response_topic=reply_topic, correlation=answer.correlation
            )
        if not reached:
            raise GatewayError(504, f"{record.name} is not connected to the broker: nobody subscribes to {topic}")

    async def _answer(self, record: ApplianceRecord, answer: Answer, meanwhile: str = "") -> dict[str, Any]:
        """Wait for an answer. One that is offline may still answer: its availability may be outdated.

        Args:
            meanwhile: What happens with the request while the appliance is offline.
        """
        if record.availability != OFFLINE:
            return await answer.wait(self._answer_s)
        try:
            return await answer.wait(min(self._answer_s, _OFFLINE_ANSWER_S))
        except GatewayError as error:
            raise GatewayError(error.status, f"{record.name} is offline; {meanwhile or 'start it'}") from error


def _has_id(line: Any) -> bool:
    return isinstance(line, dict) and isinstance(line.get("id"), str)


def _payload(value: Mapping[str, Any]) -> bytes:
    try:
        payload = dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise GatewayError(400, "this cannot be written as JSON; NaN and infinity are not allowed") from error
    if len(payload) > _MAX_LINE_BYTES:
        raise GatewayError(413, f"this has {len(payload)} bytes; at most {_MAX_LINE_BYTES} are allowed")
    return payload
