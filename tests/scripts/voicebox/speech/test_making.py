"""The processes that make speech."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from support.waiting import eventually

# A pool as `make` has it, whose process would sleep for longer than any test.
OWNER = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from voicebox.speech import making

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), making._end_quietly) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 300)
        time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(tmp_path, number):
    (tmp_path / "owner.py").write_text(OWNER)
    command = [sys.executable, tmp_path / "owner.py"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline())
        owner.send_signal(number)
        owner.wait(20)
        eventually(lambda: not alive(worker), "the end of the process")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
