"""Threads of the daemon that stand still, while the process and its main thread go on."""

from __future__ import annotations

import pytest

from support.booted.installing import main_pid, say, wait_for_ready
from support.booted.machine import BootedMachine

pytestmark = [pytest.mark.booted, pytest.mark.xdist_group("booted")]

# Stops all threads but the first, as a debugger does. They wait, without Python's lock, at almost any moment.
STOP_THREADS = """
import ctypes, os, sys
pid, seize, interrupt = int(sys.argv[1]), 0x4206, 0x4207
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
for thread in map(int, os.listdir(f"/proc/{pid}/task")):
    if thread != pid and (ptrace(seize, thread, None, None) or ptrace(interrupt, thread, None, None)):
        sys.exit(os.strerror(ctypes.get_errno()))
print("stopped", flush=True)
# A thread that was killed is gone only when the debugger knows.
while True:
    try:
        os.waitpid(-1, 0x40000000)
    except ChildProcessError:
        break
"""


def test_the_watchdog_restarts_a_daemon_whose_threads_stand_still(appliance: BootedMachine) -> None:
    former = main_pid(appliance)
    debugger = appliance.start("python3", "-c", STOP_THREADS, str(former))
    assert debugger.stdout is not None
    assert debugger.stdout.readline() == "stopped\n"
    # 20 s until the scheduler counts as overdue, then 30 s without a sign of life.
    appliance.wait_until(lambda: main_pid(appliance) not in {0, former}, "the restart", 300)
    debugger.communicate(timeout=120)
    wait_for_ready(appliance)
    journal = appliance.journal("ishowtts")
    assert "the watchdog is not fed: the thread scheduler has not responded for" in journal
    assert "Watchdog timeout" in journal
    assert say(appliance, "The threads run again.")["event"] == "finished"
