"""A small text file of the operator's that may change at any time: read anew when it does, and never in the way."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ishowtts.errors import OperatorFileError
from ishowtts.util.files import read_bounded

log = logging.getLogger(__name__)

T = TypeVar("T")


class LiveFile(Generic[T]):
    """What a file says, as last understood; may be used from any thread.

    A fault is logged once for each change of the file, and what was good before stays in force.

    Args:
        path: the file; it need not be there yet.
        read: makes sense of it. Raises OperatorFileError.
        nothing: what holds until it could be read for the first time.
        key: of the configuration, which names the file: faults begin with it.
        clock: seconds, monotonic.
        look_every_s: how often it is looked at, at most, when somebody asks.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        nothing: T,
        *,
        key: str,
        clock: Callable[[], float] = time.monotonic,
        look_every_s: float = 1.0,
    ) -> None:
        self._path = path
        self._read = read
        self._good = nothing
        self._key = key
        self._clock = clock
        self._look_every_s = look_every_s
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._version: str | None = None
        self._looked_s = clock()
        self._look()

    @property
    def fault(self) -> str | None:
        """What is wrong with the file as it was when last looked at, in one sentence."""
        return self._fault

    def current(self) -> T:
        """What is in force."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._looked_s >= self._look_every_s:
                self._looked_s = now_s
                self._look()
            return self._good

    def _look(self) -> None:
        if (version := _version(self._path)) == self._version:
            return
        self._version = version
        try:
            self._good = self._read(self._path)
        except OperatorFileError as error:
            self._fault = f"{self._key}: {error}"
            log.warning("%s; what was read before stays in force", self._fault)
        else:
            self._fault = None
            log.info("%s: %s is in force", self._key, self._path)


def read_text(path: Path, most_bytes: int) -> str:
    """The text of an ordinary file in UTF-8.

    Raises:
        OperatorFileError: with one sentence.
    """
    try:
        return read_bounded(path, most_bytes).decode("utf-8-sig")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise OperatorFileError(
                f"{path}: is larger than {most_bytes // 1024} KiB; keep fewer words in it"
            ) from error
        raise OperatorFileError(f"{path}: cannot be read ({error.strerror}); mend its path or permissions") from error
    except UnicodeDecodeError as error:
        raise OperatorFileError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except ValueError as error:
        raise OperatorFileError(f"{path}: cannot be read ({error}); mend its path") from error


def _version(path: Path) -> str:
    """Another one whenever the file is; it need not be there."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        return str(error)
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
