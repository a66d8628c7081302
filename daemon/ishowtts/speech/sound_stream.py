"""Turns the segments of a render into parts of encoded sound, in small steps."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

import numpy as np

from ishowtts.errors import OperatorFileError
from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import RenderRequest, Samples, Utterance
from ishowtts.speech.engine_seam import EDGE_FADE_S, after_other_engine
from ishowtts.speech.render_task import MadeSegment
from ishowtts.speech.segment_joiner import SegmentJoiner
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.util.samples import FloatPcm, resample, to_int16
from ishowtts.util.sound_encoder import SoundEncoder, build_encoder, encodable_rate_hz, slices

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SoundPart:
    """Encoded sound for one message, and how long it sounds."""

    data: bytes
    audio_s: float


class SoundStream:
    """Post-processes, joins and encodes the segments of one render.

    A line gets the loudness and the limiter of a spoken line, at the rate of the player. A segment stays as its engine
    made it.

    Args:
        key: Unique among the renders: a voice keeps its gain within one.

    Attributes:
        rate_hz: Sample rate of the sound; `None` before the first segment.
        audio_s: How much sound was joined so far, in seconds.
        parts: What can be sent, in order. The caller takes the parts from the left end.
    """

    def __init__(self, request: RenderRequest, resources: SpeechResources, key: str) -> None:
        self.rate_hz: int | None = None
        self.audio_s = 0.0
        self.parts: deque[SoundPart] = deque()
        self._request = request
        self._resources = resources
        self._key = key
        self._joiner = SegmentJoiner()
        self._encoder: SoundEncoder | None = None
        self._before: MadeSegment | None = None
        self._slices: deque[Samples] = deque()
        self._is_last = False
        self._waiting = bytearray()
        self._waiting_s = 0.0
        self._began = False

    @property
    def encoding(self) -> bool:
        """Whether `encode_next` has work to do."""
        return bool(self._slices)

    def add(self, made: MadeSegment) -> None:
        """Post-process a segment and join it to those before. `encode_next` must have encoded those."""
        if self.rate_hz is None:
            rate_hz = made.utterance.rate_hz if self._request.is_segment else self._resources.player.rate_hz
            self.rate_hz = encodable_rate_hz(self._request.format, rate_hz)
            self._encoder = build_encoder(self._request.format, self.rate_hz)
        joined = self._joined(made, self.rate_hz)
        self.audio_s += len(joined) / self.rate_hz
        self._slices.extend(slices(to_int16(joined), self.rate_hz))
        self._is_last = made.is_last
        self._before = made

    def encode_next(self) -> None:
        """Encode a quarter of a second. The first of it becomes a part at once, the rest fills parts."""
        if self._encoder is None or self.rate_hz is None:
            return
        if self._slices:
            samples = self._slices.popleft()
            self._collect(self._encoder.encode(samples), len(samples) / self.rate_hz)
        if not self._slices:
            if self._is_last:
                self._collect(self._encoder.finish(), 0.0)
            self._flush()

    def _joined(self, made: MadeSegment, rate_hz: int) -> FloatPcm:
        """The samples that are final once this segment is joined to those before."""
        utterance, before = made.utterance, self._before
        sound = self._sound(made, rate_hz)
        overlap = fade_out = 0
        if before is not None and before.utterance.engine == utterance.engine:
            overlap = int(made.seam_s * rate_hz)
        elif before is not None:
            seamed = after_other_engine(utterance, sound, rate_hz, before.utterance, before.segment.text)
            sound, fade_out = seamed.sound, int(EDGE_FADE_S * rate_hz)
        hold = 0 if made.is_last else int(max(made.seam_s, EDGE_FADE_S) * rate_hz)
        return self._joiner.add(sound.astype(np.float32), overlap, hold, fade_out)

    def _sound(self, made: MadeSegment, rate_hz: int) -> Samples | FloatPcm:
        """A segment at the rate of the stream; after the chime, if the request asks for one."""
        utterance = made.utterance
        if self._request.is_segment:
            return resample(utterance.samples, utterance.rate_hz, rate_hz)
        sound = self._post_processed(utterance)
        if made.segment.index == 0 and self._request.line.chime:
            try:
                chime = self._resources.policy.chime(self._request.line)
            except OperatorFileError as error:
                log.warning("a render has no chime: %s", error)
                chime = None
            if chime is not None:
                sound = np.concatenate([resample(*chime, self._resources.player.rate_hz), sound])
        return resample(sound, self._resources.player.rate_hz, rate_hz)

    def _post_processed(self, utterance: Utterance) -> Samples | FloatPcm:
        return self._resources.post_processor.process(utterance, self._key)

    def _collect(self, data: bytes, audio_s: float) -> None:
        self._waiting += data
        self._waiting_s += audio_s
        while len(self._waiting) >= RENDER_PART_BYTES:
            self._add_part(RENDER_PART_BYTES)
        if not self._began:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._add_part(len(self._waiting))

    def _add_part(self, size: int) -> None:
        audio_s = self._waiting_s * size / len(self._waiting)
        self.parts.append(SoundPart(bytes(self._waiting[:size]), audio_s))
        del self._waiting[:size]
        self._waiting_s -= audio_s
        self._began = True
