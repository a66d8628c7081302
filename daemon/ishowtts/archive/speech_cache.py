"""Cache of finished speech on disk: the same text in the same voice and settings is synthesised once."""

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

_Entry = TypeVar("_Entry")

FORMAT = 1
_MAGIC = f"ishowtts speech {FORMAT}\n".encode()
_SPEECH, _SEGMENTATION = ".speech", ".cut"
_MOST_SPEECH_BYTES = 16_000_000  # five minutes: far more than any segment
_MOST_SEGMENTATION_BYTES = 1_000_000
_MOST_HEADER_BYTES = 4096
_RATES_HZ = range(8_000, 192_001)
_NFE_STEPS = range(1, 1001)
_KIND = FileKind(
    what="finished speech is",
    fix="make room and let this user write there, or set audio.cache_mb to 0",
    stem=re.compile(r"[0-9a-f]{64}"),
    suffixes=(_SPEECH, _SEGMENTATION),
    mode=0o600,
    evict_when_short=True,
)


@dataclass(frozen=True)
class CachedSegmentation:
    """The segments of a text, and the length of the cross-fade between two of them."""

    segments: tuple[str, ...]
    seam_s: float


class SpeechCache:
    """Reads entries on the thread that synthesises, and writes them on the thread `archive`.

    Args:
        folder: For nothing else.
        most_bytes: Its largest size on disk.
        has_space: Whether the disk has room for files that are not essential.
    """

    def __init__(self, folder: Path, most_bytes: int, writer: ArchiveWriter, has_space: Callable[[], bool]) -> None:
        self.folder = BoundedFolder(folder, most_bytes, _KIND, has_space)
        self._writer = writer

    def has(self, key: str) -> bool:
        """Whether there is speech with this key. It may be damaged."""
        return self.folder.has(key + _SPEECH)

    def find_speech(self, key: str) -> Utterance | None:
        """The sound with this key, marked `cached`; `None` if it is absent or damaged. A damaged one is removed."""
        return self._find(key, _SPEECH, _MOST_SPEECH_BYTES, _to_utterance)

    def find_segmentation(self, key: str) -> CachedSegmentation | None:
        """The segments of the text with this key; `None` if they are absent or damaged. Damaged ones are removed."""
        return self._find(key, _SEGMENTATION, _MOST_SEGMENTATION_BYTES, _to_segmentation)

    def store_speech(self, key: str, utterance: Utterance) -> None:
        """Store a sound. If the disk is too slow, it is not stored."""
        header = {
            "rate_hz": utterance.rate_hz,
            "engine": utterance.engine,
            "voice": utterance.voice,
            "nfe_step": utterance.nfe_step,
            "samples": len(utterance.samples),
        }
        size = utterance.samples.nbytes
        if 0 < size <= _MOST_SPEECH_BYTES - _MOST_HEADER_BYTES:
            self._store(key, _SPEECH, header, lambda: utterance.samples.astype("<i2").tobytes(), size)

    def store_segmentation(self, key: str, segmentation: CachedSegmentation) -> None:
        """Store the segments of a text."""
        body = json.dumps(segmentation.segments).encode()
        if len(body) + _MOST_HEADER_BYTES <= _MOST_SEGMENTATION_BYTES:
            self._store(key, _SEGMENTATION, {"seam_s": segmentation.seam_s}, lambda: body, len(body))

    def _store(self, key: str, suffix: str, header: dict[str, Any], body: Callable[[], bytes], size: int) -> None:
        """Pack and write an entry on the thread `archive`, because this thread has to synthesise the next segment."""
        self._writer.offer(lambda: self.folder.store(key, {suffix: pack({"key": key, **header}, body())}), size)

    def _find(
        self, key: str, suffix: str, most_bytes: int, read: Callable[[dict[str, Any], bytes], _Entry]
    ) -> _Entry | None:
        entry = self.folder.read(key + suffix, most_bytes)
        if entry is None:
            return None
        try:
            header, body = unpack(entry)
            if header["key"] != key:
                raise ValueError("it has another key")
            found = read(header, body)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("a damaged entry of the speech cache is removed, and made again: %s", error)
            self._writer.offer(lambda: self.folder.remove(key))
            return None
        self._writer.offer(lambda: self.folder.touch(key))
        return found


def key_of(fields: Mapping[str, Any]) -> str:
    """The key of an entry: a digest of all fields that determine it. Their values must be values of JSON."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def pack(header: Mapping[str, Any], body: bytes) -> bytes:
    """Make an entry: a line with the format, a line with the digest of the rest, a line of JSON, and the body."""
    rest = json.dumps(header, sort_keys=True).encode("ascii") + b"\n" + body
    return _MAGIC + hashlib.sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def unpack(entry: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and body of an entry. Raises ValueError if it is not as it was written."""
    digest_end = len(_MAGIC) + 64
    if not entry.startswith(_MAGIC) or entry[digest_end : digest_end + 1] != b"\n":
        raise ValueError("it is not an entry of this version")
    rest = entry[digest_end + 1 :]
    if hashlib.sha256(rest).hexdigest().encode("ascii") != entry[len(_MAGIC) : digest_end]:
        raise ValueError("its checksum is wrong")
    end = rest.find(b"\n", 0, _MOST_HEADER_BYTES)
    header = json.loads(rest[:end]) if end > 0 else None
    if not isinstance(header, dict):
        raise ValueError("it has no header")
    return header, rest[end + 1 :]


def _to_utterance(header: dict[str, Any], body: bytes) -> Utterance:
    rate_hz, engine, voice, nfe_step = (header[name] for name in ("rate_hz", "engine", "voice", "nfe_step"))
    samples = np.frombuffer(body, dtype="<i2").astype(np.int16)
    if (
        type(rate_hz) is not int
        or rate_hz not in _RATES_HZ
        or not (isinstance(engine, str) and isinstance(voice, str))
        or not (nfe_step is None or (type(nfe_step) is int and nfe_step in _NFE_STEPS))
        or header["samples"] != len(samples)
    ):
        raise ValueError("its header is not one of ours")
    return Utterance(samples, rate_hz, 0.0, engine, voice, nfe_step, cached=True)


def _to_segmentation(header: dict[str, Any], body: bytes) -> CachedSegmentation:
    segments, seam_s = json.loads(body), header["seam_s"]
    if not (isinstance(segments, list) and segments and all(isinstance(one, str) and one for one in segments)):
        raise ValueError("it holds no segments")
    if not (isinstance(seam_s, float | int) and 0 <= seam_s <= 1):
        raise ValueError("its header is not one of ours")
    return CachedSegmentation(tuple(segments), float(seam_s))
