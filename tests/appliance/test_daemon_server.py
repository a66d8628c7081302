"""A forked daemon is watched and ended as a process that was started anew."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from support.appliance import Appliance
from support.client import Client
from support.daemon_server import ForkedDaemon


def test_a_forked_daemon_is_waited_for_and_leaves_nothing_behind(appliance: Appliance, mqtt_client: Client) -> None:
    appliance.wait_ready(mqtt_client)
    daemon = appliance.process
    assert isinstance(daemon, ForkedDaemon)
    assert Path(f"/proc/{daemon.pid}/fd/0").readlink() == Path(os.devnull)
    assert {Path(f"/proc/{daemon.pid}/fd/{each}").readlink() for each in (1, 2)} == {appliance.folder / "daemon.log"}
    assert daemon.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(0.01)
    os.kill(daemon.pid, signal.SIGKILL)
    assert daemon.wait(20) == daemon.poll() == -signal.SIGKILL
    daemon.send_signal(signal.SIGTERM)  # a process that has ended gets none
    assert not Path(f"/proc/{daemon.pid}").exists()
