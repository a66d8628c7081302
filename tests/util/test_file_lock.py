"""One program at a time has a file."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ishowtts.util.file_lock import lock_file


def test_a_lock_excludes_others_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY) for _ in range(2))
    try:
        assert lock_file(first)
        assert not lock_file(second)
        began_s = time.monotonic()
        assert not lock_file(second, 0.2)
        assert time.monotonic() - began_s >= 0.2
        closer = threading.Timer(0.1, os.close, [first])
        closer.start()
        assert lock_file(second, 20)
        closer.join(20)
    finally:
        os.close(second)
