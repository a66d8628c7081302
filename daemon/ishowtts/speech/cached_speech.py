"""Speech of an engine, or the same from the cache, under a key of everything that determines its sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from ishowtts.archive import CachedSegmentation, SpeechCache
from ishowtts.archive.speech_cache import key_of
from ishowtts.engines.candidates import Synthesizer
from ishowtts.engines.speech_cache_key import CacheKey
from ishowtts.errors import SynthesisError
from ishowtts.model import IsCancelled, Line, Segment, Utterance


@dataclass(frozen=True)
class FoundSegmentation:
    """How a text was split when it was spoken before.

    Attributes:
        seam_s: Length of the cross-fade between two segments, in seconds.
        complete: Whether the sound of every segment is cached.
    """

    segments: tuple[str, ...]
    seam_s: float
    complete: bool


class CachedSpeech:
    """The speech of one engine in the cache, seen from one line.

    Callers ask for the key again after the work: if it changed during the work, the result is not stored.

    Args:
        cache_key: Key of the engine with a voice as it is now. It must not raise.
    """

    def __init__(self, cache: SpeechCache, cache_key: CacheKey) -> None:
        self._cache = cache
        self._cache_key = cache_key

    def segmentation_key(self, line: Line, text: str, streaming: bool) -> str | None:
        """Key of a text and of all that decides how it is split, except the current cost of synthesis.

        Args:
            line: The line, in the voice that the engine speaks and the language of the text.
        """
        return self._key(line, text=text, streaming=streaming)

    def speech_key(self, segment: Segment) -> str | None:
        """Key of a segment and of all that determines its sound."""
        return self._key(segment, text=segment.text, seed=segment.seed)

    def find_segmentation(self, key: str, line: Line) -> FoundSegmentation | None:
        """How a text was split; `None` if that is not cached, or none of its sound is."""
        found = self._cache.find_segmentation(key)
        if found is None:
            return None
        there = [self._cache.has(name) for name in self._segment_keys(line, found) if name]
        complete = len(there) == len(found.segments) and all(there)
        return FoundSegmentation(found.segments, found.seam_s, complete) if any(there) else None

    def find_speech(self, key: str) -> Utterance | None:
        """Sound of a segment; `None` if it is not cached."""
        return self._cache.find_speech(key)

    def store_segmentation(self, key: str, segments: Sequence[str], seam_s: float) -> None:
        """Store how a text was split."""
        if segments:
            self._cache.store_segmentation(key, CachedSegmentation(tuple(segments), seam_s))

    def store_speech(self, key: str, utterance: Utterance) -> None:
        """Store the sound of a segment."""
        self._cache.store_speech(key, utterance)

    def _segment_keys(self, line: Line, found: CachedSegmentation) -> list[str | None]:
        return [self._key(line, text=text, seed=line.seed) for text in found.segments]

    def _key(self, of: Line | Segment, **more: Any) -> str | None:
        made_by = self._cache_key(of.voice)
        if made_by is None:
            return None
        return key_of({"made_by": made_by, "nfe_step": of.nfe_step, "speed": of.speed, "language": of.language, **more})


def synthesize(engine: Synthesizer, cache: CachedSpeech | None, segment: Segment, cancelled: IsCancelled) -> Utterance:
    """Take a segment from the cache, or let the engine make it and keep it.

    Raises:
        SynthesisError, EngineError, Cancelled: As from the engine. A segment without any sound is a SynthesisError.
    """
    key = cache.speech_key(segment) if cache else None
    if cache and key and (cached := cache.find_speech(key)) is not None:
        return cached
    utterance = _audible(engine.synthesize(segment, cancelled))
    if cache and key and key == cache.speech_key(segment):
        cache.store_speech(key, utterance)
    return utterance


def synthesize_batch(
    engine: Synthesizer, cache: CachedSpeech | None, run: Sequence[Segment], cancelled: IsCancelled
) -> list[Utterance]:
    """Take the segments at the head from the cache. Else let the engine make all that are missing in one run.

    Raises:
        SynthesisError, EngineError, Cancelled: As from `synthesize`.
    """
    keys = [cache.speech_key(segment) if cache else None for segment in run]
    sounds = [cache.find_speech(key) if cache and key else None for key in keys]
    if head := list(takewhile(lambda sound: sound is not None, sounds)):
        return [sound for sound in head if sound is not None]
    missing = [i for i, sound in enumerate(sounds) if sound is None]
    if len(missing) < 2:
        return [synthesize(engine, cache, run[0], cancelled)]
    made = engine.synthesize_batch([run[i] for i in missing], cancelled)
    for i, utterance in zip(missing, map(_audible, made), strict=True):
        sounds[i], key = utterance, keys[i]
        if cache and key and key == cache.speech_key(run[i]):
            cache.store_speech(key, utterance)
    return [sound for sound in sounds if sound is not None]


def _audible(utterance: Utterance) -> Utterance:
    if len(utterance.samples) == 0:
        raise SynthesisError(f"{utterance.engine} made no sound from this text")
    return utterance
