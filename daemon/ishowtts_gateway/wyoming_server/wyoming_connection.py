"""One client of the Wyoming server: answers `describe` at once, and speaks one text after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice

from ishowtts.errors import IShowError
from ishowtts.util.logs import Untrusted
from ishowtts.util.rate_limit import RateLimit
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.renders.render_client import RenderClient
from ishowtts_gateway.wyoming_server.event_reader import EventReader, WyomingProtocolError
from ishowtts_gateway.wyoming_server.event_writer import EventWriter
from ishowtts_gateway.wyoming_server.sentence_splitter import SentenceSplitter
from ishowtts_gateway.wyoming_server.speech_sender import SpeechSender
from ishowtts_gateway.wyoming_server.voice_list import VoiceChoice, VoiceList, chosen_voice

log = logging.getLogger(__name__)

MAX_TEXT_CHARS = 65_536
"""Of all texts that wait to be spoken on one connection: an hour of speech."""
_MAX_REQUESTS = 16
_IDLE_S = 300.0
_LINGER_S, _LINGER_BYTES = 2.0, 4 << 20
_REASON_CODES = {400: "bad-request", 413: "too-long", 429: "busy", 503: "unavailable", 504: "timeout"}


@dataclass(frozen=True)
class WyomingServices:
    """What all connections share."""

    renders: RenderClient
    voices: VoiceList
    large_events: asyncio.Lock
    failures: RateLimit


@dataclass
class _SpeechRequest:
    """A text to speak: the sentences that wait, and whether more will come."""

    choice: VoiceChoice
    splitter: SentenceSplitter | None = None
    texts: deque[str] = field(default_factory=deque)
    chars: int = 0
    is_complete: bool = False

    @property
    def is_stream(self) -> bool:
        """Whether it comes in pieces."""
        return self.splitter is not None

    def add(self, texts: Iterable[str]) -> None:
        """Add texts."""
        for text in texts:
            self.texts.append(text)
            self.chars += len(text)

    def take(self) -> str:
        """Remove the next text."""
        text = self.texts.popleft()
        self.chars -= len(text)
        return text


class WyomingConnection:
    """Serves one client until it hangs up, is idle, or makes a mistake.

    A mistake and a text that cannot be spoken are answered with `error`, and the connection is closed: clients wait for
    sound otherwise. What is spoken when a client hangs up is cancelled.

    Args:
        reader, writer: The connection.
        services: What all connections share.
        client: The `address_group` of the client.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, services: WyomingServices, client: str
    ) -> None:
        self._stream_reader = reader
        self._stream_writer = writer
        self._reader = EventReader(reader, services.large_events)
        self._writer = EventWriter(writer)
        self._services = services
        self._client = client
        self._requests: deque[_SpeechRequest] = deque()
        self._stream: _SpeechRequest | None = None  # the newest one, while its pieces come
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Serve the client. Returns when the connection is closed."""
        reading = asyncio.ensure_future(self._read())
        speaking = asyncio.ensure_future(self._speak())
        try:
            await asyncio.wait({reading, speaking}, return_when=asyncio.FIRST_COMPLETED)
            failure = next((task.exception() for task in (reading, speaking) if task.done()), None)
            await end_tasks(reading, speaking)
            if isinstance(failure, IShowError):
                await self._refuse(failure)
            elif failure is not None and not isinstance(failure, OSError):
                raise failure
        finally:
            await end_tasks(reading, speaking)
            transport = self._stream_writer.transport
            if transport.get_write_buffer_size():
                transport.abort()  # `close` would wait for the client to read
            self._stream_writer.close()
            with contextlib.suppress(OSError):
                await self._stream_writer.wait_closed()

    async def _read(self) -> None:
        """Handle events. Returns when the client has hung up or is idle."""
        while True:
            try:
                event = await self._reader.next_event(_IDLE_S)
            except asyncio.TimeoutError:
                if self._requests and self._stream is None:
                    continue
                raise WyomingProtocolError(f"the connection was idle for {_IDLE_S:.0f} s") from None
            if event is None:
                return
            await self._handle(event)

    async def _handle(self, event: Event) -> None:
        """Handle an event. One of a type that is not known is ignored, as the protocol says."""
        if Describe.is_type(event.type):
            await self._writer.send(self._services.voices.described())
        elif Ping.is_type(event.type):
            await self._writer.send(Pong(_optional_text(event, "text")).event())
        elif SynthesizeStart.is_type(event.type):
            self._stream = self._add(_SpeechRequest(_choice(event), SentenceSplitter()))
        elif Synthesize.is_type(event.type):
            # Within a stream it repeats the whole text, for servers that cannot stream.
            if self._stream is None:
                request = self._add(_SpeechRequest(_choice(event), is_complete=True))
                request.add([_whole_text(event)])
        elif self._stream is not None and self._stream.splitter is not None:
            if SynthesizeChunk.is_type(event.type):
                self._stream.add(self._stream.splitter.add(_text(event)))
            elif SynthesizeStop.is_type(event.type):
                self._stream.add(self._stream.splitter.finish())
                self._stream.is_complete, self._stream = True, None
        elif SynthesizeChunk.is_type(event.type) or SynthesizeStop.is_type(event.type):
            raise WyomingProtocolError(f"`{event.type}` came without `synthesize-start` before it")
        if sum(request.chars for request in self._requests) > MAX_TEXT_CHARS:
            raise WyomingProtocolError(f"more than {MAX_TEXT_CHARS:,} characters wait to be spoken; send less at once")
        self._changed.set()

    def _add(self, request: _SpeechRequest) -> _SpeechRequest:
        if self._stream is not None:
            raise WyomingProtocolError("`synthesize-start` came again before `synthesize-stop`")
        if len(self._requests) >= _MAX_REQUESTS:
            raise WyomingProtocolError(f"{_MAX_REQUESTS} texts wait on this connection already; wait for their sound")
        self._requests.append(request)
        return request

    async def _speak(self) -> None:
        """Speak the requests, in order, until it is cancelled."""
        while True:
            while not self._requests:
                await self._next_change()
            request = self._requests[0]
            await self._speak_request(request)
            self._requests.popleft()

    async def _speak_request(self, request: _SpeechRequest) -> None:
        sender = SpeechSender(self._services.renders, self._writer, f"wyoming {self._client}", request.choice)
        while True:
            while request.texts:
                await sender.speak(request.take())
                if request.is_stream and sender.is_started:
                    await sender.stop()  # each sentence of a stream is a sound of its own
            if request.is_complete:
                break
            await self._next_change()
        if sender.is_started or not sender.has_spoken:
            await sender.stop()
        if request.is_stream:
            await self._writer.send(SynthesizeStopped().event())

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _refuse(self, failure: IShowError) -> None:
        """Send the error. The client gets it also if it is still sending."""
        if self._services.failures.allows():
            log.warning("a Wyoming client at %s got an error: %s", self._client, Untrusted(failure))
        status = failure.status if isinstance(failure, GatewayError) else 400
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await self._writer.send(Error(str(failure), _REASON_CODES.get(status, "failed")).event())
            self._stream_writer.write_eof()
            await asyncio.wait_for(self._drop_rest(), _LINGER_S)

    async def _drop_rest(self) -> None:
        # A connection that is closed with unread data is reset, and the client may never see the error.
        left = _LINGER_BYTES
        while left > 0 and (found := await self._stream_reader.read(65_536)):
            left -= len(found)


async def end_tasks(*tasks: asyncio.Future[None]) -> None:
    """Cancel tasks until they have ended. Before Python 3.12, `wait_for` may ignore a cancellation."""
    while running := {task for task in tasks if not task.done()}:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.05)


def _text(event: Event) -> str:
    text = event.data.get("text")
    if not isinstance(text, str):
        raise WyomingProtocolError(f"`{event.type}` needs a `text`")
    return text


def _whole_text(event: Event) -> str:
    text = _text(event)
    if not text.strip():
        raise WyomingProtocolError("`text` of `synthesize` is empty; send a text to speak")
    return text


def _optional_text(event: Event, name: str) -> str | None:
    value = event.data.get(name)
    return value if isinstance(value, str) else None


def _choice(event: Event) -> VoiceChoice:
    """The voice of a request."""
    text_format = event.data.get("text_format")
    if text_format not in (None, "text"):
        raise WyomingProtocolError("`text_format` must be `text`: SSML and others are not spoken")
    voice = event.data.get("voice")
    if voice is None:
        return VoiceChoice()
    if not isinstance(voice, dict) or not all(value is None or isinstance(value, str) for value in voice.values()):
        raise WyomingProtocolError("`voice` must be an object of texts: `name`, `language`, `speaker`")
    return chosen_voice(SynthesizeVoice(voice.get("name"), voice.get("language"), voice.get("speaker")))
