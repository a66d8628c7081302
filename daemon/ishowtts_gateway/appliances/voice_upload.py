"""Sends a recording to an appliance over MQTT, where it becomes a voice, and removes such a voice."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ishowtts.limits import NAME, VOICE_PART_BYTES, VOICE_PARTS, VOICE_RECORDING_BYTES, VOICE_WORDS_BYTES
from ishowtts.model import VoiceAbout
from ishowtts.mqtt.publish_packet import NO_PROPERTIES
from ishowtts.mqtt.publisher import packet_bytes
from ishowtts.mqtt.strict_json import dumps
from ishowtts_gateway.appliances.appliance_record import ApplianceRecord
from ishowtts_gateway.appliances.broker_link import BrokerLink
from ishowtts_gateway.gateway_error import GatewayError

if TYPE_CHECKING:
    from ishowtts_gateway.appliances.awaited_answer import Answer

ANSWER_S = 150.0
"""The check of a recording may take 60 s, and may begin after that of another one."""


class VoicePublisher:
    """Adds and removes voices of appliances.

    Args:
        link: The connection to the broker.
        expect: Waits for the `command` event of a transaction of a device.
    """

    def __init__(self, link: BrokerLink, expect: Callable[[str, str], AbstractAsyncContextManager[Answer]]) -> None:
        self._link = link
        self._expect = expect

    async def add(self, record: ApplianceRecord, name: str, audio: bytes, about: VoiceAbout) -> dict[str, Any]:
        """Send a recording whose speaker has agreed. Returns the `command` event that answers it.

        Args:
            name: Name of the voice.
            audio: The recording: WAV, FLAC, Ogg or MP3.

        Raises:
            GatewayError: it cannot be sent, the name belongs to another voice, or the appliance does not answer.
        """
        _check_name(name)
        _check_recording(audio, about.text)
        if taken := _taken(record, name, about.replace):
            raise GatewayError(409, taken)
        upload = f"gateway-{secrets.token_hex(8)}"
        async with self._expect(record.name, upload) as answer:
            for part in _parts(upload, audio, about, self._room_bytes(record, name)):
                await self._publish(record, name, part)
                if answer.arrived:  # a refusal: the appliance would ignore the other parts
                    break
            event = await answer.wait(ANSWER_S)
        if event.get("ok") is False and (taken := _taken(record, name, about.replace)):
            raise GatewayError(409, taken)  # it was added while this recording was on its way
        return event

    async def remove(self, record: ApplianceRecord, name: str) -> dict[str, Any]:
        """Remove a voice that came over MQTT. Returns the `command` event that answers it.

        Raises:
            GatewayError: the request cannot be sent, or the appliance does not answer.
        """
        _check_name(name)
        transaction = f"gateway-{secrets.token_hex(8)}"
        async with self._expect(record.name, transaction) as answer:
            await self._publish(record, name, {"remove": True, "transaction": transaction})
            return await answer.wait(ANSWER_S)

    def _room_bytes(self, record: ApplianceRecord, name: str) -> int | None:
        """The largest message that the broker takes; `None`: it does not say so."""
        largest = self._link.broker_max_packet_bytes
        return None if largest is None else largest - packet_bytes(_topic(record, name), b"", NO_PROPERTIES)

    async def _publish(self, record: ApplianceRecord, name: str, message: dict[str, Any]) -> None:
        if not await self._link.publish(_topic(record, name), dumps(message)):
            raise GatewayError(
                502, f"{record.name} takes no voices now: it is offline, or engine.f5.voices_over_mqtt is false there"
            )


def _taken(record: ApplianceRecord, name: str, replace: bool) -> str | None:
    """Why a voice cannot be added under this name, by what the appliance says of its voices; `None` if it can."""
    info = record.info or {}
    if not _lists(info.get("voices"), name):
        return None
    if not _lists(info.get("removable_voices"), name):
        return f"the voice {name!r} of {record.name} was not added over MQTT, and cannot be replaced; use another name"
    return None if replace else f"{record.name} has a voice {name!r}; send replace = true, or use another name"


def _lists(names: Any, name: str) -> bool:
    return isinstance(names, list) and name in names


def _topic(record: ApplianceRecord, name: str) -> str:
    return f"{record.root}/voice/{name}/set"


def _parts(upload: str, audio: bytes, about: VoiceAbout, room_bytes: int | None) -> Iterator[dict[str, Any]]:
    """The messages of an upload, none larger than the room. The first one also holds the words."""
    described = {"text": about.text, "consent": True, "replace": about.replace, "language": about.language}
    most = VOICE_PARTS[1]
    empty = {"upload": upload, "part": most, "parts": most, "data": ""}
    first_bytes, part_bytes = (_data_bytes(head, room_bytes) for head in (empty | described, empty))
    if min(first_bytes, part_bytes) < 1 or first_bytes + (most - 1) * part_bytes < len(audio):
        raise GatewayError(
            413,
            f"the broker takes too small messages for this recording ({len(audio)} bytes in at most {most} messages); "
            "raise its largest packet size (max_packet_size in mosquitto), or send a shorter recording",
        )
    starts = [0, *range(first_bytes, len(audio), part_bytes)]
    for part, (start, end) in enumerate(pairwise([*starts, len(audio)])):
        data = base64.b64encode(audio[start:end]).decode("ascii")
        numbered = {"upload": upload, "part": part, "parts": len(starts), "data": data}
        yield numbered if part else {**numbered, **described}


def _data_bytes(head: dict[str, Any], room_bytes: int | None) -> int:
    """How many bytes of a recording a message holds beside its other fields. Base64 makes 4 of 3."""
    return VOICE_PART_BYTES if room_bytes is None else min(VOICE_PART_BYTES, (room_bytes - len(dumps(head))) // 4 * 3)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise GatewayError(400, "this is not a valid name of a voice: use 1 to 64 of a-z, 0-9, _ and -")


def _check_recording(audio: bytes, words: str) -> None:
    if not audio:
        raise GatewayError(400, "the recording is empty; record it again, or choose another file")
    if len(audio) > VOICE_RECORDING_BYTES:
        most_mb = VOICE_RECORDING_BYTES // 1_000_000
        raise GatewayError(413, f"the recording has more than {most_mb} MB; send a clip of 2 to 12 s")
    if not words.strip():
        raise GatewayError(400, "the words of the recording are missing; write down what is said in it")
    if len(words.encode("utf-8", "replace")) > VOICE_WORDS_BYTES:
        raise GatewayError(413, f"the words have more than {VOICE_WORDS_BYTES} bytes; a clip of 12 s has about 200")
