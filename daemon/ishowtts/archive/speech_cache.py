"""Finished speech by what made it: the same text in the same voice and settings is synthesised once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ishowtts.archive.archive_writer import ArchiveWriter
from ishowtts.archive.bounded_folder import BoundedFolder, FileKind
from ishowtts.model import Utterance

log = logging.getLogger(__name__)

_Found = TypeVar("_Found")

FORMAT = 1
_MAGIC = f"ishowtts speech {FORMAT}\n".encode()
_SPEECH, _CUT = ".speech", ".cut"
_MOST_SPEECH_BYTES = 16_000_000  # five minutes: far more than any segment
_MOST_CUT_BYTES = 1_000_000
_MOST_HEADER_BYTES = 4096
_RATES_HZ = range(8_000, 192_001)
_NFE_STEPS = range(1, 1001)
_KIND = FileKind(
    what="finished speech is",
    mend="make room and let this user write there, or set audio.cache_mb to 0",
    stem=re.compile(r"[0-9a-f]{64}"),
    suffixes=(_SPEECH, _CUT),
    mode=0o600,
    gives_back=True,
)


@dataclass(frozen=True)
class CachedSegment:
    """How a text was cut, and how long the cross-fade between two segments is."""

    segments: tuple[str, ...]
    seam_s: float


class SpeechCache:
    """Looked into by the thread that synthesises; written on the archive's.

    Args:
        place: its folder, for nothing else.
        most_bytes: on disk.
        room: whether the disk has room for what can be done without.
    """

    def __init__(self, place: Path, most_bytes: int, writer: ArchiveWriter, room: Callable[[], bool]) -> None:
        self.folder = BoundedFolder(place, most_bytes, _KIND, room)
        self._writer = writer

    def has(self, key: str) -> bool:
        """Whether there is speech under this key; it may yet turn out to be damaged."""
        return self.folder.has(key + _SPEECH)

    def speech(self, key: str) -> Utterance | None:
        """The sound under this key, as it was synthesised, in no time."""
        return self._look_up(key, _SPEECH, _MOST_SPEECH_BYTES, _as_utterance)

    def cut(self, key: str) -> CachedSegment | None:
        """How the text under this key was cut."""
        return self._look_up(key, _CUT, _MOST_CUT_BYTES, _as_cut)

    def keep_speech(self, key: str, utterance: Utterance) -> None:
        """Keep a sound, or do not where the disk is too slow."""
        header = {
            "rate_hz": utterance.rate_hz,
            "engine": utterance.engine,
            "voice": utterance.voice,
            "nfe_step": utterance.nfe_step,
            "samples": len(utterance.samples),
        }
        size = utterance.samples.nbytes
        if 0 < size <= _MOST_SPEECH_BYTES - _MOST_HEADER_BYTES:
            self._keep(key, _SPEECH, header, lambda: utterance.samples.astype("<i2").tobytes(), size)

    def keep_cut(self, key: str, cut: CachedSegment) -> None:
        """Keep how a text was cut."""
        body = json.dumps(cut.segments).encode()
        if len(body) + _MOST_HEADER_BYTES <= _MOST_CUT_BYTES:
            self._keep(key, _CUT, {"seam_s": cut.seam_s}, lambda: body, len(body))

    def _keep(self, key: str, suffix: str, header: dict[str, Any], body: Callable[[], bytes], size: int) -> None:
        """The work is the archive's too: whoever speaks has its next segment to think of."""
        self._writer.offer(lambda: self.folder.keep(key, {suffix: pack({"key": key, **header}, body())}), size)

    def _look_up(
        self, key: str, suffix: str, most_bytes: int, read: Callable[[dict[str, Any], bytes], _Found]
    ) -> _Found | None:
        entry = self.folder.read(key + suffix, most_bytes)
        if entry is None:
            return None
        try:
            header, body = unpack(entry)
            if header["key"] != key:
                raise ValueError("it belongs elsewhere")
            found = read(header, body)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("a damaged entry of the speech cache is dropped, and made again: %s", error)
            self._writer.offer(lambda: self.folder.drop(key))
            return None
        self._writer.offer(lambda: self.folder.use(key))
        return found


def key_of(recipe: Mapping[str, Any]) -> str:
    """The name of what is made by a recipe, of values that JSON knows."""
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def pack(header: Mapping[str, Any], body: bytes) -> bytes:
    """An entry: a line that says what it is, a line with the digest of what follows, a line of JSON, the body."""
    rest = json.dumps(header, sort_keys=True).encode("ascii") + b"\n" + body
    return _MAGIC + hashlib.sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def unpack(entry: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of an entry. Raises ValueError where it is not as it was written."""
    digest_end = len(_MAGIC) + 64
    if not entry.startswith(_MAGIC) or entry[digest_end : digest_end + 1] != b"\n":
        raise ValueError("it is no entry of this version")
    rest = entry[digest_end + 1 :]
    if hashlib.sha256(rest).hexdigest().encode("ascii") != entry[len(_MAGIC) : digest_end]:
        raise ValueError("its checksum is wrong")
    end = rest.find(b"\n", 0, _MOST_HEADER_BYTES)
    header = json.loads(rest[:end]) if end > 0 else None
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    return header, rest[end + 1 :]


def _as_utterance(header: dict[str, Any], body: bytes) -> Utterance:
    rate_hz, engine, voice, nfe_step = (header[name] for name in ("rate_hz", "engine", "voice", "nfe_step"))
    samples = np.frombuffer(body, dtype="<i2").astype(np.int16)
    if (
        type(rate_hz) is not int
        or rate_hz not in _RATES_HZ
        or not (isinstance(engine, str) and isinstance(voice, str))
        or not (nfe_step is None or (type(nfe_step) is int and nfe_step in _NFE_STEPS))
        or header["samples"] != len(samples)
    ):
        raise ValueError("its header is not ours")
    return Utterance(samples, rate_hz, 0.0, engine, voice, nfe_step, cached=True)


def _as_cut(header: dict[str, Any], body: bytes) -> CachedSegment:
    segments, seam_s = json.loads(body), header["seam_s"]
    if not (isinstance(segments, list) and segments and all(isinstance(one, str) and one for one in segments)):
        raise ValueError("it holds no segments")
    if not (isinstance(seam_s, float | int) and 0 <= seam_s <= 1):
        raise ValueError("its header is not ours")
    return CachedSegment(tuple(segments), float(seam_s))
