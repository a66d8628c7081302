"""Has texts rendered, and sends their sound to a Wyoming client: one text after the other, all at one sample rate."""

from __future__ import annotations

import asyncio

from wyoming.audio import AudioChunk, AudioStart, AudioStop

from ishowtts.limits import RENDER_CHARS
from ishowtts.model import SoundFormat
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.renders.pcm_rate import PcmRate
from ishowtts_gateway.renders.render_attempt import RenderRefused
from ishowtts_gateway.renders.render_client import RenderClient
from ishowtts_gateway.renders.render_stream import RenderStream
from ishowtts_gateway.wyoming_server.event_writer import EventWriter
from ishowtts_gateway.wyoming_server.sentence_splitter import SentenceSplitter
from ishowtts_gateway.wyoming_server.voice_list import VoiceChoice

_CHUNK_BYTES = 8192
"""Of one `audio-chunk`: 0.17 s at 24 kHz."""
_SILENT_RATE_HZ = 24_000
"""Of a text that has nothing to speak."""
_BUSY_S = 20.0
"""Home Assistant asks once. So a text that an appliance refuses because it is busy is sent again for this time."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0
_BUSY = 429
_NOT_THERE = frozenset({404, 502, 503, 504})
"""The appliance that spoke the text before may be gone."""
_WIDTH_BYTES = 2


class SpeechSender:
    """The sound of one request. The first text decides about the appliance and the sample rate of all.

    Args:
        renders: Renders texts.
        writer: Of the connection.
        client: Who asks: the renders of one client take turns with those of others.
        choice: The voice and the language.
    """

    def __init__(self, renders: RenderClient, writer: EventWriter, client: str, choice: VoiceChoice) -> None:
        self._renders = renders
        self._writer = writer
        self._client = client
        self._choice = choice
        self._device: str | None = None
        self._rate_hz: int | None = None
        self._is_started = False

    async def speak(self, text: str) -> None:
        """Send the sound of a text, without `audio-stop`. Nothing is sent for a text without anything to speak.

        Raises:
            GatewayError: It cannot be rendered.
            OSError: The client has gone.
        """
        for part in _parts(text):
            try:
                await self._speak_when_not_busy(part)
            except RenderRefused as refusal:
                if refusal.reason != "empty":
                    raise

    async def stop(self) -> None:
        """Send `audio-stop`, after `audio-start` if there was no sound: a client may wait for both."""
        if not self._is_started:
            await self._start(_SILENT_RATE_HZ)
        await self._writer.send(AudioStop().event())
        self._is_started = False

    @property
    def is_started(self) -> bool:
        """Whether sound was sent, and `audio-stop` was not."""
        return self._is_started

    @property
    def has_spoken(self) -> bool:
        """Whether any sound was sent."""
        return self._rate_hz is not None

    async def _speak_when_not_busy(self, text: str) -> None:
        loop = asyncio.get_running_loop()
        due_s, pause_s = loop.time() + _BUSY_S, _FIRST_PAUSE_S
        while True:
            async with self._open(text) as stream:
                try:
                    head = await stream.head()
                except GatewayError as error:
                    if self._device is not None and error.status in _NOT_THERE:
                        self._device = None  # another appliance speaks the rest
                        continue
                    if error.status != _BUSY or loop.time() + pause_s > due_s:
                        raise
                else:
                    await self._send_all(stream, head.rate_hz)
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _open(self, text: str) -> RenderStream:
        choice = self._choice
        return self._renders.render(
            text,
            format=SoundFormat.PCM,
            client=self._client,
            voice=choice.voice,
            language=choice.language,
            device=self._device,
        )

    async def _send_all(self, stream: RenderStream, rate_hz: int) -> None:
        self._device = stream.device
        self._rate_hz = self._rate_hz or rate_hz
        rate = PcmRate(rate_hz, self._rate_hz)  # a client plays a whole stream at the rate of its first sound
        async for piece in stream:
            await self._send(rate.convert(piece), self._rate_hz)
        await self._send(rate.convert(b"", last=True), self._rate_hz)

    async def _send(self, sound: bytes, rate_hz: int) -> None:
        if sound and not self._is_started:
            await self._start(rate_hz)
        for start in range(0, len(sound), _CHUNK_BYTES):
            chunk = AudioChunk(rate_hz, _WIDTH_BYTES, 1, sound[start : start + _CHUNK_BYTES])
            await self._writer.send(chunk.event())

    async def _start(self, rate_hz: int) -> None:
        self._is_started, self._rate_hz = True, rate_hz
        await self._writer.send(AudioStart(rate_hz, _WIDTH_BYTES, 1).event())


def _parts(text: str) -> list[str]:
    """The text, or its parts if an appliance would not take so much at once."""
    if len(text) <= RENDER_CHARS:
        return [text]
    splitter = SentenceSplitter()
    parts: list[str] = []
    for sentence in (*splitter.add(text), *splitter.finish()):
        if parts and len(parts[-1]) + len(sentence) < RENDER_CHARS:
            parts[-1] += f" {sentence}"
        else:
            parts.append(sentence)
    return parts
