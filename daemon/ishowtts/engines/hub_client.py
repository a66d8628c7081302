"""Downloads files of the Hugging Face hub with its own client. A broken download goes on where it stopped.

The client's `hf_hub_download` deletes an unfinished file (2.4.0), so this calls its `http_get` with a file of ours.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ishowtts.engines.weights_catalogue import HubFile
from ishowtts.engines.weights_record import ReportBytes
from ishowtts.errors import WeightsError, first_line

log = logging.getLogger(__name__)

HUB = "https://huggingface.co"
_ANSWER_S = 20.0
_MAX_SMALL_BYTES = 1_000_000
_MAX_MODEL_BYTES = 20_000_000_000  # the base model with the state of its training has about 5.4 GB
_REVISION = re.compile("[0-9a-f]{40}")
_SHA256 = re.compile("[0-9a-f]{64}")
_GO_ON = "run the command again: it goes on where the download stopped"


class DownloadError(WeightsError):
    """The hub did not give a file."""


def endpoint() -> str:
    """Returns the address of the hub, or of the mirror that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def resolve(files: tuple[HubFile, ...]) -> tuple[HubFile, ...]:
    """Asks the hub for the newest revision of a repository, and for sizes and checksums of files there.

    Args:
        files: files of one repository.

    Raises:
        DownloadError: there is no answer, or a file is missing, too large or without a checksum.
    """
    hub, repo = _library(), files[0].repo
    try:
        info = hub.HfApi(endpoint=endpoint()).model_info(repo, files_metadata=True, timeout=_ANSWER_S)
        revision = info.sha
        found = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    except Exception as error:  # the boundary: the client raises errors of its transport, which differ by release
        raise DownloadError(f"the hub cannot be asked about {repo}: {_clause(error)}") from error
    if not _matches(_REVISION, revision):
        raise DownloadError(f"the hub names no revision of {repo}; try again later")
    return tuple(_described(replace(file, revision=revision), found.get(file.path)) for file in files)


def _described(file: HubFile, sibling: Any) -> HubFile:
    repo, path = file.repo, file.path
    if sibling is None:
        raise DownloadError(f"{repo} has no file {path} now; it was renamed or removed there")
    sha256 = sibling.lfs["sha256"] if sibling.lfs else None
    git_sha1 = None if sibling.lfs else sibling.blob_id
    if type(sibling.size) is not int or not (_matches(_SHA256, sha256) or _matches(_REVISION, git_sha1)):
        raise DownloadError(f"the hub gives no size or no checksum for {path} of {repo}; try again later")
    limit = _MAX_MODEL_BYTES if path.endswith((".pt", ".safetensors")) else _MAX_SMALL_BYTES
    if not 0 < sibling.size <= limit:
        raise DownloadError(f"{path} of {repo} has {sibling.size} bytes; from 1 to {limit} are accepted")
    return replace(file, size=sibling.size, sha256=sha256, git_sha1=git_sha1)


def _matches(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def download(file: HubFile, partial: Path, report: ReportBytes) -> None:
    """Downloads a file, or the rest of it. The caller compares its checksum.

    Args:
        file: what to download.
        partial: the unfinished file, whose name must belong to this content only; created if it is missing.
        report: called with the name of the file, the bytes done and the total bytes.

    Raises:
        DownloadError: the hub does not give the file, or the connection broke. What arrived stays.
        OSError: the unfinished file cannot be written.
    """
    hub = _library()
    url = hub.hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=endpoint())
    try:
        with _waits_in_words(file.path), _PartialFile(partial, file, report) as stream:
            hub.file_download.http_get(
                url,
                stream,
                resume_size=stream.tell(),
                headers=hub.utils.build_hf_headers(),
                expected_size=file.size,
                displayed_filename=file.local_path,
            )
    except _WriteError as error:
        raise OSError(error.cause.errno, error.cause.strerror) from error
    except Exception as error:  # the boundary, as above
        raise DownloadError(f"{file.path} cannot be downloaded from {file.repo}: {_clause(error)}") from error


def _library() -> Any:
    # Otherwise it asks the hub for a list of programs, and tells it which of them runs (2.4.0). Read at the import.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    from huggingface_hub import file_download  # noqa: F401 - an attribute of the package from then on

    library: Any = huggingface_hub
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # our sentence says what it would log
    library.utils.disable_progress_bars()  # `report` shows it
    return library


class _WriteError(Exception):
    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _TooLargeError(Exception):
    """The hub sends more bytes than the file has."""


class _PartialFile(io.FileIO):
    """An unfinished file, opened at its end. It never becomes larger than the whole file, whatever arrives."""

    def __init__(self, path: Path, file: HubFile, report: ReportBytes) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _WriteError(error) from error
        super().__init__(descriptor, "r+")
        self._file, self._report = file, report
        if self.seek(0, os.SEEK_END) > file.size:
            self.seek(0)
            self.truncate()

    def write(self, data: Any) -> int:
        """Writes all of a block."""
        block = memoryview(data)
        if self.tell() + len(block) > self._file.size:
            raise _TooLargeError
        try:
            while block:
                block = block[super().write(block) or 0 :]
        except OSError as error:
            raise _WriteError(error) from error
        self._report(f"download {self._file.local_path}", self.tell(), self._file.size)
        return len(data)


@contextmanager
def _waits_in_words(name: str) -> Iterator[None]:
    """Logs one sentence when the client waits and tries again, instead of its own lines with addresses."""
    handler = _WaitHandler(name)
    loggers = [logging.getLogger(f"huggingface_hub.{module}") for module in ("utils._http", "file_download")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _WaitHandler(logging.Handler):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith("Rate limited"):
            log.warning("%s: the hub limits requests; waiting as long as it asks", self._name)
        elif "Trying to resume" in message:
            log.warning("%s: the connection broke; connecting again", self._name)


_STATUS_CLAUSES = {
    401: "it refuses access to this repository, or has it no longer",
    403: "it refuses access to this repository, or has it no longer",
    404: "it has no such file or repository; it was renamed or removed there",
    429: "it limits the requests of this address for now; run the command again in some minutes",
}


def _clause(error: Exception) -> str:
    """Says in words why the hub did not answer as expected, and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return _STATUS_CLAUSES.get(status, f"it answers with HTTP status {status}; run the command again later")
    if isinstance(error, _TooLargeError):
        return "more bytes arrive than the file has; use another source"
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return f"the connection ended too early; {_GO_ON}"
    return f"{first_line(error)}; {_GO_ON}"
