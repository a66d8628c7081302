"""Turns the segments of a render into parts of encoded sound, in small steps."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from ishowtts.errors import OperatorFileError
from ishowtts.limits import RENDER_PART_BYTES
from ishowtts.model import RenderRequest, Samples, Utterance
from ishowtts.speech.engine_seam import EDGE_FADE_S, after_other_engine
from ishowtts.speech.renders.render_task import MadeSegment
from ishowtts.speech.renders.segment_joiner import SegmentJoiner
from ishowtts.speech.segment_renderer import SpeechResources
from ishowtts.util.samples import FloatPcm, resample, to_int16
from ishowtts.util.sound_encoder import SoundEncoder, build_encoder, encodable_rate_hz, slices

log = logging.getLogger(__name__)

# Post-processing takes up to 10 ms for each second of sound, on one of two x86 cores. The first sound must not wait for
# all of a long segment: its beginning is processed alone, up to the quietest place in this range.
_FIRST_PIECE_S = (1.0, 2.5)
_LONG_S = 3.0
_FRAME_S = 0.01


@dataclass(frozen=True)
class SoundPart:
    """Encoded sound for one message, and how long it sounds."""

    data: bytes
    audio_s: float


@dataclass(frozen=True)
class _Piece:
    """A piece of a segment that is post-processed at once.

    Attributes:
        begins, ends: Whether it is at the beginning or at the end of its segment.
    """

    made: MadeSegment
    utterance: Utterance
    begins: bool = True
    ends: bool = True


class SoundStream:
    """Post-processes, joins and encodes the segments of one render.

    A line gets the loudness and the limiter of a spoken line, at the rate of the player. A segment stays as its engine
    made it.

    Args:
        key: Unique among the renders: a voice keeps its gain within one.
        part_bytes: The size of the largest part.

    Attributes:
        rate_hz: Sample rate of the sound; `None` before the first segment.
        audio_s: How much sound was joined so far, in seconds.
        parts: What can be sent, in order. The caller takes the parts from the left end.
    """

    def __init__(
        self, request: RenderRequest, resources: SpeechResources, key: str, part_bytes: int = RENDER_PART_BYTES
    ) -> None:
        self.rate_hz: int | None = None
        self.audio_s = 0.0
        self.parts: deque[SoundPart] = deque()
        self._request = request
        self._resources = resources
        self._key = key
        self._joiner = SegmentJoiner()
        self._encoder: SoundEncoder | None = None
        self._before: MadeSegment | None = None
        self._pieces: deque[_Piece] = deque()
        self._slices: deque[Samples] = deque()
        self._waiting = bytearray()
        self._waiting_s = 0.0
        self._part_bytes = part_bytes
        self._began = False

    @property
    def encoding(self) -> bool:
        """Whether `encode_next` has work to do."""
        return bool(self._slices or self._pieces)

    def add(self, made: MadeSegment) -> None:
        """Take the next segment. `encode_next` must have encoded those before."""
        if self.rate_hz is None:
            rate_hz = made.utterance.rate_hz if self._request.is_segment else self._resources.player.rate_hz
            self.rate_hz = encodable_rate_hz(self._request.format, rate_hz)
            self._encoder = build_encoder(self._request.format, self.rate_hz)
        is_first = self._before is None and not self._request.is_segment
        self._pieces.extend(self._early_pieces(made) if is_first else [_Piece(made, made.utterance)])

    def encode_next(self) -> None:
        """Encode a quarter of a second. The first of it becomes a part at once, the rest fills parts."""
        if self._encoder is None or self.rate_hz is None:
            return
        if not self._slices and self._pieces:
            self._process(self._pieces.popleft(), self.rate_hz)
        if self._slices:
            samples = self._slices.popleft()
            self._collect(self._encoder.encode(samples), len(samples) / self.rate_hz)
        if not self.encoding:
            if self._before is not None and self._before.is_last:
                self._collect(self._encoder.finish(), 0.0)
            self._flush()

    def _early_pieces(self, made: MadeSegment) -> list[_Piece]:
        """A long first segment in two pieces. They are resampled first, so that there is no edge between them."""
        rate_hz, utterance = self._resources.player.rate_hz, made.utterance
        if utterance.audio_s < _LONG_S:
            return [_Piece(made, utterance)]
        samples = to_int16(resample(utterance.samples, utterance.rate_hz, rate_hz))
        cut = _quietest(samples, rate_hz)
        head, tail = (replace(utterance, samples=each, rate_hz=rate_hz) for each in (samples[:cut], samples[cut:]))
        return [_Piece(made, head, ends=False), _Piece(made, tail, begins=False)]

    def _process(self, piece: _Piece, rate_hz: int) -> None:
        """Post-process a piece, and join it to those before."""
        joined = self._joined(piece, rate_hz)
        self.audio_s += len(joined) / rate_hz
        self._slices.extend(slices(to_int16(joined), rate_hz))
        self._before = piece.made

    def _joined(self, piece: _Piece, rate_hz: int) -> FloatPcm:
        """The samples that are final once this piece is joined to those before."""
        made, utterance, before = piece.made, piece.utterance, self._before
        sound = self._sound(piece, rate_hz)
        overlap = fade_out = 0
        if before is not None and piece.begins and before.utterance.engine == utterance.engine:
            overlap = int(made.seam_s * rate_hz)
        elif before is not None and piece.begins:
            seamed = after_other_engine(utterance, sound, rate_hz, before.utterance, before.segment.text)
            sound, fade_out = seamed.sound, int(EDGE_FADE_S * rate_hz)
        hold = 0 if made.is_last or not piece.ends else int(max(made.seam_s, EDGE_FADE_S) * rate_hz)
        return self._joiner.add(sound.astype(np.float32), overlap, hold, fade_out)

    def _sound(self, piece: _Piece, rate_hz: int) -> Samples | FloatPcm:
        """A piece at the rate of the stream; the first one after the chime, if the request asks for one."""
        utterance = piece.utterance
        if self._request.is_segment:
            return resample(utterance.samples, utterance.rate_hz, rate_hz)
        sound = self._resources.post_processor.process(utterance, self._key)
        if self._before is None and self._request.line.chime:
            try:
                chime = self._resources.policy.chime(self._request.line)
            except OperatorFileError as error:
                log.warning("a render has no chime: %s", error)
                chime = None
            if chime is not None:
                sound = np.concatenate([resample(*chime, self._resources.player.rate_hz), sound])
        return resample(sound, self._resources.player.rate_hz, rate_hz)

    def _collect(self, data: bytes, audio_s: float) -> None:
        self._waiting += data
        self._waiting_s += audio_s
        while len(self._waiting) >= self._part_bytes:
            self._add_part(self._part_bytes)
        if not self._began:
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            self._add_part(min(self._part_bytes, len(self._waiting)))

    def _add_part(self, size: int) -> None:
        audio_s = self._waiting_s * size / len(self._waiting)
        self.parts.append(SoundPart(bytes(self._waiting[:size]), audio_s))
        del self._waiting[:size]
        self._waiting_s -= audio_s
        self._began = True


def _quietest(samples: Samples, rate_hz: int) -> int:
    """Where a sound can be cut: the middle of its quietest hundredth of a second in the range for the first piece."""
    frame, (first_s, last_s) = int(_FRAME_S * rate_hz), _FIRST_PIECE_S
    begin, count = int(first_s * rate_hz), int((last_s - first_s) / _FRAME_S)
    frames = samples[begin : begin + count * frame].astype(np.float32).reshape(count, frame)
    return begin + int(np.square(frames).sum(axis=1).argmin()) * frame + frame // 2
