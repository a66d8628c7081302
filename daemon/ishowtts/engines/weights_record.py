"""The file `source.json` beside fetched weights: where they come from, and the checksums of what is installed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ishowtts.util.files import open_regular, read_bounded

NAME = "source.json"
_MAX_RECORD_BYTES = 65_536
_BLOCK_BYTES = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")

ReportBytes = Callable[[str, int, int], None]
"""Called with a name, the bytes done and the total bytes."""


@dataclass(frozen=True)
class WeightsRecord:
    """Where installed weights come from.

    Attributes:
        model: name in the catalogue.
        repo: repository on the hub.
        revision: the commit that was fetched; `None` if a folder did not say it.
        verified_by: `hub`, `download` (the checksums that `hf download` left in the folder) or `nothing`.
        sha256: checksum of each installed file, by its path below the folder.
    """

    model: str
    repo: str
    revision: str | None
    verified_by: str
    sha256: Mapping[str, str]


def read_record(folder: Path) -> WeightsRecord | None:
    """Returns the record of a folder; `None` if there is none that can be used."""
    try:
        content = json.loads(read_bounded(folder / NAME, _MAX_RECORD_BYTES))
        record = WeightsRecord(**content)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    sums = record.sha256
    texts = (record.model, record.repo, record.verified_by, record.revision or "")
    if not isinstance(sums, dict) or not all(isinstance(text, str) for text in texts):
        return None
    return record if all(isinstance(one, str) and _SHA256.fullmatch(one) for one in sums.values()) else None


def write_record(path: Path, record: WeightsRecord) -> None:
    """Writes a record. Raises OSError."""
    path.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    path.chmod(0o644)


def sha256_of(path: Path, label: str, report: ReportBytes) -> str:
    """Returns the SHA-256 of a file. Raises OSError."""
    digest = hashlib.sha256()
    _feed(digest.update, path, label, report)
    return digest.hexdigest()


def git_sha1_of(path: Path, label: str, report: ReportBytes) -> str:
    """Returns the name that git gives to the content of a file. Raises OSError."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    _feed(digest.update, path, label, report)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], path: Path, label: str, report: ReportBytes) -> None:
    total = path.stat().st_size
    with open_regular(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            update(block)
            report(label, stream.tell(), total)
