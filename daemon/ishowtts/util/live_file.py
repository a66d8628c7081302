"""A small text file of the operator that may change at any time. It is read again after each change."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from ishowtts.errors import OperatorFileError
from ishowtts.util.files import file_version, read_bounded

log = logging.getLogger(__name__)

T = TypeVar("T")


class LiveFile(Generic[T]):
    """The parsed content of a file. Any thread may use it.

    An error is logged once for each change of the file. The last content that could be parsed stays in force.

    Args:
        path: The file. It does not need to exist yet.
        read: Parses the file. Raises OperatorFileError. The log shows the `size` of its result, if it has one.
        initial: The content until the file can be read for the first time.
        entries: One thing of the file, such as "pronunciation". The log may say that none is in force.
        key: The configuration key that names the file. Error messages begin with it.
        clock: Returns monotonic seconds.
        check_every_s: The shortest time between two checks for a change. Only `current` checks.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], T],
        initial: T,
        *,
        key: str,
        entries: str,
        clock: Callable[[], float] = time.monotonic,
        check_every_s: float = 1.0,
    ) -> None:
        self._path = path
        self._read = read
        self._content = initial
        self._key = key
        self._entries = entries
        self._was_read = False
        self._clock = clock
        self._check_every_s = check_every_s
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._version: str | None = None
        self._checked_at_s = clock()
        self._reload_if_changed()

    @property
    def fault(self) -> str | None:
        """What is wrong with the file, in one sentence, as of the last check; `None` if it could be read."""
        return self._fault

    def current(self) -> T:
        """Returns the content in force. Checks for a change if the last check is old enough."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._checked_at_s >= self._check_every_s:
                self._checked_at_s = now_s
                self._reload_if_changed()
            return self._content

    def _reload_if_changed(self) -> None:
        if (version := _version(self._path)) == self._version:
            return
        self._version = version
        try:
            self._content = self._read(self._path)
        except OperatorFileError as error:
            self._fault = f"{self._key}: {error}"
            if self._was_read:
                log.warning("%s; the content that was read before stays in force", self._fault)
            else:
                log.warning("%s; no %s is in force", self._fault, self._entries)
        else:
            self._fault = None
            self._was_read = True
            size = getattr(self._content, "size", None)
            count = "" if size is None else f" with {size} {'entry' if size == 1 else 'entries'}"
            log.info("%s: %s is in force%s", self._key, self._path, count)


def read_text(path: Path, max_bytes: int) -> str:
    """Reads a regular file in UTF-8.

    Raises:
        OperatorFileError: One sentence says what is wrong and how to fix it.
    """
    try:
        return read_bounded(path, max_bytes).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise OperatorFileError(f"{path}: cannot be read ({error.strerror}); create it, or fix its path") from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise OperatorFileError(
                f"{path}: is larger than {max_bytes // 1024} KiB; keep fewer words in it"
            ) from error
        raise OperatorFileError(f"{path}: cannot be read ({error.strerror}); fix its path or permissions") from error
    except UnicodeDecodeError as error:
        raise OperatorFileError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except ValueError as error:
        raise OperatorFileError(f"{path}: cannot be read ({error}); fix its path") from error


def _version(path: Path) -> str:
    """Returns the version of the file, or the error if it has none: a new error is a change too."""
    try:
        return file_version(path)
    except (OSError, ValueError) as error:
        return str(error)
