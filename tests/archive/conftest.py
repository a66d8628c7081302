"""A writer, and `settle`, which waits until it has run all its jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from ishowtts.archive import ArchiveWriter


@pytest.fixture
def writer() -> Iterator[ArchiveWriter]:
    writer = ArchiveWriter(lambda: None, lambda: None)
    writer.start()
    yield writer
    writer.close(5)


@pytest.fixture
def settle(writer: ArchiveWriter) -> Callable[[], None]:
    def settle() -> None:
        done = threading.Event()
        assert writer.offer(done.set, must=True)
        assert done.wait(20)

    return settle
