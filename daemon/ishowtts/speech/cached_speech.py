"""What the lead has spoken before, under the name of all that makes its sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ishowtts.archive import CachedSegmentation, SpeechCache
from ishowtts.archive.speech_cache import key_of
from ishowtts.engines.speech_cache_key import CacheKey
from ishowtts.model import Line, Segment, Utterance


@dataclass(frozen=True)
class Kept:
    """How a text was cut, and whether the sound of every segment is there."""

    cut: CachedSegmentation
    complete: bool


class CachedSpeech:
    """The cache as a line asks it. A key is asked for again after the work: who changed meanwhile is not kept.

    Args:
        cache_key: of the primary engine as it is now. It must not raise.
    """

    def __init__(self, cache: SpeechCache, cache_key: CacheKey) -> None:
        self._cache = cache
        self._cache_key = cache_key

    def cut_key(self, line: Line, whole: str, streaming: bool) -> str | None:
        """Of a text and of all that decides where it is cut, but for what synthesis costs at the moment."""
        return self._key(line, text=whole, streaming=streaming)

    def speech_key(self, segment: Segment) -> str | None:
        """Of a segment and of all that makes its sound."""
        return self._key(segment, text=segment.text, seed=segment.seed)

    def cut(self, key: str, line: Line) -> Kept | None:
        """How a text was cut; `None` where that is not known, or where nothing of its sound is left."""
        cut = self._cache.segmentation(key)
        if cut is None:
            return None
        there = [self._cache.has(name) for name in self._segment_keys(line, cut) if name]
        return Kept(cut, len(there) == len(cut.segments) and all(there)) if any(there) else None

    def speech(self, key: str) -> Utterance | None:
        """A segment's sound."""
        return self._cache.speech(key)

    def keep_cut(self, key: str, segments: Sequence[str], seam_s: float) -> None:
        """Keep how a text was cut."""
        if segments:
            self._cache.store_segmentation(key, CachedSegmentation(tuple(segments), seam_s))

    def keep_speech(self, key: str, utterance: Utterance) -> None:
        """Keep a segment's sound."""
        self._cache.store_speech(key, utterance)

    def _segment_keys(self, line: Line, cut: CachedSegmentation) -> list[str | None]:
        return [self._key(line, text=text, seed=line.seed) for text in cut.segments]

    def _key(self, of: Line | Segment, **more: Any) -> str | None:
        made_by = self._cache_key(of.voice)
        if made_by is None:
            return None
        return key_of({"made_by": made_by, "nfe_step": of.nfe_step, "speed": of.speed, **more})
