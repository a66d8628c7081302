"""Has appliances render texts over MQTT: finds those that can, publishes requests, and hands out the replies."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ishowtts.limits import LANGUAGE_TAG, NAME, RENDER_CHARS
from ishowtts.model import SoundFormat
from ishowtts.mqtt.renders.render_boards import BoardFacts, rank_boards, texts_in, why_not
from ishowtts.mqtt.renders.render_parts import parse_part, request_payload
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_record import OFFLINE, ApplianceRecord
from ishowtts_gateway.appliances.broker_link import BrokerLink
from ishowtts_gateway.appliances.message_backlog import LinkMessage
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.renders.render_attempt import RenderAttempt, RenderRefused, SoundBudget
from ishowtts_gateway.renders.render_stream import FIRST_SOUND_S, RenderStream

log = logging.getLogger(__name__)

_MAX_RENDERS = 256
_MAX_OF_CLIENT = 64
_UNREAD_BYTES = 64 << 20
"""Of all renders together. The longest text takes 14 MB as PCM, and 2 MB as MP3."""
_EXPIRY_S = 60
_SHOWN_VOICES, _SHOWN_BOARDS = 20, 3


@dataclass(frozen=True)
class RenderVoice:
    """A voice that a render may name.

    Attributes:
        languages: Tags of what it speaks, as the appliances say; empty if none of them says so.
        devices: The appliances that are online and have it.
    """

    name: str
    languages: tuple[str, ...]
    devices: tuple[str, ...]


class RenderClient:
    """Everything here belongs to the asyncio loop.

    Args:
        link: The connection to the broker, which subscribes to everything below `reply_root`.
        directory: The appliances, and what they publish.
        reply_root: The topic under which replies to us come.
        unread_bytes: Bounds the sound that has come and was not read, of all renders together.
    """

    def __init__(
        self, link: BrokerLink, directory: ApplianceDirectory, reply_root: str, *, unread_bytes: int = _UNREAD_BYTES
    ) -> None:
        self._link = link
        self._directory = directory
        self._root = f"{reply_root}/render/"
        self._budget = SoundBudget(unread_bytes)
        self._attempts: dict[tuple[str, bytes], RenderAttempt] = {}  # by response topic and Correlation Data
        self._own: Counter[str] = Counter()  # by device: the renders that run there
        self._open: Counter[str] = Counter()  # by client
        self._cancelling: set[asyncio.Task[None]] = set()

    @property
    def unread_bytes(self) -> int:
        """The sound that has come and was not read."""
        return self._budget.held_bytes

    @property
    def running(self) -> int:
        """How many renders run."""
        return len(self._attempts)

    def voices(self) -> list[RenderVoice]:
        """The voices of all appliances that can render now, by name."""
        languages: dict[str, set[str]] = {}
        devices: dict[str, list[str]] = {}
        for record in self._directory.records.values():
            if why_not(_facts(record)) is not None:
                continue
            info = record.info or {}
            tags = info.get("voice_languages")
            for name in _names(info.get("voices")):
                devices.setdefault(name, []).append(record.name)
                tag = tags.get(name) if isinstance(tags, dict) else None
                known = languages.setdefault(name, set())
                if isinstance(tag, str) and LANGUAGE_TAG.fullmatch(tag):
                    known.add(tag)
        return [
            RenderVoice(name, tuple(sorted(languages[name])), tuple(sorted(devices[name]))) for name in sorted(devices)
        ]

    def has_voice(self, name: str) -> bool:
        """Whether an appliance that can render now has a voice of this name."""
        return any(why_not(_facts(record), voice=name) is None for record in self._directory.records.values())

    def devices(self) -> list[str]:
        """The names of the appliances that can render now."""
        records = self._directory.records.values()
        return sorted(record.name for record in records if why_not(_facts(record)) is None)

    def render(
        self,
        text: str,
        *,
        format: SoundFormat,  # noqa: A002  the name of the contract
        client: str,
        voice: str | None = None,
        device: str | None = None,
        speed: float | None = None,
        language: str | None = None,
        author: str | None = None,
        wait_s: float = FIRST_SOUND_S,
    ) -> RenderStream:
        """Have a text rendered. Nothing is sent before the stream is read.

        Args:
            client: Who asks, as an address: the renders of one client take turns with those of others.
            voice: `None`: the default voice of the appliance.
            device: `None`: the appliance that is expected to be the first that has time.
            wait_s: How long to wait for the first sound.

        Raises:
            GatewayError: the text is empty or too long.
        """
        if not text.strip():
            raise RenderRefused(400, "empty", "the text is empty; send a text to speak")
        if len(text) > RENDER_CHARS:
            raise RenderRefused(413, "too_long", f"the text has more than {RENDER_CHARS} characters; send it in parts")
        payload = request_payload(
            text, format=format, voice=voice, language=language, speed=speed, author=author, ttl_s=wait_s
        )
        return RenderStream(_TextRender(self, payload, format, client, voice, device, language), wait_s)

    def reply_arrived(self, message: LinkMessage) -> bool:
        """Take a message if it is a reply to a render. Returns whether it is one."""
        if not message.topic.startswith(self._root):
            return False
        attempt = self._attempts.get((message.topic, message.correlation or b""))
        if attempt is not None:
            attempt.receive(parse_part(message.payload, message.user_properties))
        return True

    def connection_changed(self, connected: bool, detail: str | None) -> None:
        """End all renders if the connection is lost: the broker drops replies to us."""
        if not connected:
            sentence = detail or "the connection to the broker is lost"
            for attempt in self._attempts.values():
                attempt.fail(RenderRefused(503, "no_broker", sentence))

    def availability_changed(self) -> None:
        """End the renders of appliances that have gone offline: their replies will not come."""
        for attempt in self._attempts.values():
            record = self._directory.records.get(attempt.device)
            if record is None or record.availability == OFFLINE:
                attempt.fail(RenderRefused(502, "unreachable", f"{attempt.device} went offline; try again"))

    def boards(self, voice: str | None, device: str | None, language: str | None) -> list[str]:
        """The names of the appliances that can render a text, the best first.

        Raises:
            GatewayError: there is none; the sentence says why.
        """
        if not self._directory.broker_connected:
            raise GatewayError(503, self._directory.broker_detail or "the gateway is not connected to the broker")
        if not self._link.mqtt5:
            raise GatewayError(502, "sound needs MQTT 5; set mqtt.protocol: 5")
        records = self._directory.records
        if device is not None and device not in records:
            name = device if NAME.fullmatch(device) else "of that name"
            raise RenderRefused(404, "unknown_device", f"there is no device {name}")
        wanted = records.values() if device is None else [records[device]]
        facts = [_facts(record, self._own[record.name]) for record in wanted]
        ranked = rank_boards(facts, voice=voice, language=language)
        if not ranked:
            raise self._no_board(facts, voice, language)
        return [board.name for board in ranked]

    def start(self, attempt: RenderAttempt, client: str) -> None:
        """Give replies to an attempt from now on.

        Raises:
            GatewayError: too many renders run.
        """
        if len(self._attempts) >= _MAX_RENDERS or self._open[client] >= _MAX_OF_CLIENT:
            raise RenderRefused(429, "too_many", "too many renders run at this gateway; try again later")
        self._attempts[attempt.response_topic, attempt.correlation] = attempt
        self._own[attempt.device] += 1
        self._open[client] += 1

    async def publish(self, attempt: RenderAttempt, payload: bytes) -> None:
        """Publish the request of an attempt."""
        reached = await self._link.publish(
            f"{attempt.root}/render",
            payload,
            response_topic=attempt.response_topic,
            correlation=attempt.correlation,
            expiry_s=_EXPIRY_S,
        )
        if not reached:
            attempt.fail(
                RenderRefused(503, "unreachable", f"{attempt.device} takes no renders now: it is not connected")
            )

    async def probe(self, attempt: RenderAttempt) -> None:
        """Cancel a render that does not exist. If nobody subscribes to that, the appliance has died."""
        try:
            reached = await self._publish_cancel(attempt, secrets.token_bytes(16))
        except GatewayError:
            return  # what is wrong with the connection ends the attempt
        if not reached:
            attempt.fail(RenderRefused(502, "unreachable", f"{attempt.device} is not connected any more; try again"))

    def finish(self, attempt: RenderAttempt, client: str) -> None:
        """Forget an attempt. If the appliance may still work on it, cancel it there."""
        if self._attempts.pop((attempt.response_topic, attempt.correlation), None) is None:
            return
        for counter, key in ((self._own, attempt.device), (self._open, client)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
        attempt.drop()
        if not attempt.settled and self._link.connected:
            task = asyncio.get_running_loop().create_task(self._cancel(attempt), name="render-cancel")
            self._cancelling.add(task)
            task.add_done_callback(self._cancelling.discard)

    def new_attempt(self, device: str, sound_format: SoundFormat, client: str) -> RenderAttempt:
        """An attempt that was not started."""
        record = self._directory.records.get(device)
        if record is None:
            raise RenderRefused(502, "unreachable", f"{device} is gone")
        topic = f"{self._root}{hashlib.blake2b(client.encode(), digest_size=8).hexdigest()}"
        return RenderAttempt(device, record.root, topic, sound_format, self._budget)

    async def _cancel(self, attempt: RenderAttempt) -> None:
        try:
            await self._publish_cancel(attempt, attempt.correlation)
        except GatewayError as error:
            log.debug("a render is not cancelled: %s", error)

    async def _publish_cancel(self, attempt: RenderAttempt, correlation: bytes) -> bool:
        return await self._link.publish(
            f"{attempt.root}/render/cancel",
            b"",
            response_topic=attempt.response_topic,
            correlation=correlation,
            expiry_s=_EXPIRY_S,
        )

    def _no_board(self, boards: Sequence[BoardFacts], voice: str | None, language: str | None) -> RenderRefused:
        if voice is not None and any(why_not(board) is None for board in boards):
            known = {name for board in boards for name in _names(board.info.get("voices"))}
            if voice not in known:
                return RenderRefused(400, "unknown_voice", f"no appliance has this voice; there are: {_listed(known)}")
        reasons = [f"{board.name} {why_not(board, voice=voice, language=language)}" for board in boards]
        shown = "; ".join(reasons[:_SHOWN_BOARDS]) or "there is none"
        return RenderRefused(503, "no_board", f"no appliance can render this now: {shown}")


@dataclass(frozen=True)
class _TextRender:
    """One text that is to be rendered: what its stream needs of the client."""

    owner: RenderClient
    payload: bytes
    format: SoundFormat
    client: str
    voice: str | None
    device: str | None
    language: str | None

    def attempts(self) -> list[Callable[[], RenderAttempt]]:
        names = self.owner.boards(self.voice, self.device, self.language)
        return [partial(self.owner.new_attempt, name, self.format, self.client) for name in names]

    async def ask(self, attempt: RenderAttempt) -> None:
        self.owner.start(attempt, self.client)
        await self.owner.publish(attempt, self.payload)

    async def probe(self, attempt: RenderAttempt) -> None:
        await self.owner.probe(attempt)

    def leave(self, attempt: RenderAttempt) -> None:
        self.owner.finish(attempt, self.client)


def _facts(record: ApplianceRecord, own_renders: int = 0) -> BoardFacts:
    return BoardFacts(
        record.name, record.availability, record.state or {}, record.telemetry or {}, record.info or {}, own_renders
    )


def _names(value: object) -> list[str]:
    return [name for name in texts_in(value) if NAME.fullmatch(name)]


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _SHOWN_VOICES} more" if len(found) > _SHOWN_VOICES else ""
    return f"{', '.join(found[:_SHOWN_VOICES])}{more}" if found else "none"
