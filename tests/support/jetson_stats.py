"""The service of jetson-stats on an emulated board, in a mount namespace of its own.

The service is jetson-stats' own, with `JTOP_TESTING=true`: it then reads /fake_sys instead of most of /sys. The tree
has what `jtop/tests/conftest.py` of jetson-stats writes for an Orin, with values of a board at work. In the namespace
it is mounted on /fake_sys, and private folders on /run (for the socket) and /sys. So tests can run at the same time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ishowtts.board import jetson_stats
from support.waiting import eventually

FAKE_SYS = Path("/fake_sys")
_GPU = "devices/platform/17000000.gpu/devfreq/17000000.gpu"
_RAILS = "bus/i2c/devices/1-0040/hwmon/hwmon3"
_FILES = {
    "stat": "cpu 26716126 25174 7198445 948399047 900582 0 354519 0 0 0\n"
    "cpu0 1673575 1889 461134 59280326 55795 0 10322 0 0 0\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil",
    **{
        f"devices/system/cpu/cpu0/cpufreq/{name}_{bound}_freq": "2035200"
        for name in ("scaling", "cpuinfo")
        for bound in ("min", "max", "cur")
    },
    f"{_GPU}/device/of_node/name": "gpu",
    f"{_GPU}/cur_freq": "1020000000",
    f"{_GPU}/min_freq": "306000000",
    f"{_GPU}/max_freq": "1300500000",
    f"{_GPU}/governor": "nvhost_podgov",
    f"{_GPU}/device/railgate_enable": "0",
    f"{_GPU}/device/tpc_pg_mask": "0",
    f"{_GPU}/device/enable_3d_scaling": "1",
    f"{_GPU}/device/load": "423",
    "kernel/debug/bpmp/debug/clk/emc/rate": "4000000",
    "kernel/debug/bpmp/debug/clk/emc/max_rate": "204000000",
    "kernel/debug/bpmp/debug/clk/emc/min_rate": "0",
    "kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked": "204000000",
    "kernel/actmon_avg_activity/mc_all": "0",
    "class/hwmon/hwmon27/name": "pwmfan",
    "class/hwmon/hwmon27/pwm1": "102",
    "bus/i2c/devices/1-0040/name": "ina3221",
    **{
        f"{_RAILS}/{name}": value
        for number, rail, milliamperes in ((1, "VDD_GPU_SOC", "300"), (2, "VDD_CPU_CV", "200"))
        for name, value in (
            (f"in{number}_label", rail),
            (f"in{number}_input", "19000"),
            (f"curr{number}_input", milliamperes),
            (f"curr{number}_max", "32760"),
            (f"curr{number}_crit", "32760"),
        )
    },
}
_ZONES = {"cpu-thermal": "48500", "gpu-thermal": "51250", "cv0-thermal": "-256000"}
_MOUNT = """
set -e
mount --make-rprivate /
mount --bind "$0/fake_sys" /fake_sys
mount --bind "$0/sys" /sys
mount --bind "$0/run" /run
mount --bind "$0/group" /etc/group
echo mounted
exec sleep infinity
"""
# The service keeps its settings under the prefix of Python, which is not ours.
_SERVICE = """
import runpy, sys
import jtop.service
sys.base_prefix, version = sys.argv[1:]
if version:
    jtop.service.get_var = lambda pattern: version
sys.argv[1:] = ["--force"]
runpy.run_module("jtop", run_name="__main__")
"""


class EmulatedService:
    """The service of jetson-stats, which can be killed, frozen, and started again.

    Args:
        folder: Holds the emulated board.
        namespace: A process in the mount namespace of the board.
    """

    def __init__(self, folder: Path, namespace: subprocess.Popen[str]) -> None:
        self._folder = folder
        self.enter = ["nsenter", f"--mount=/proc/{namespace.pid}/ns/mnt", "--"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, version: str = "") -> None:
        """Starts the service and waits for its socket.

        Args:
            version: The version that it says it has; empty for the real one.
        """
        log = self._folder / "service.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*self.enter, sys.executable, "-c", _SERVICE, str(self._folder), version],
                env={**os.environ, "JTOP_TESTING": "true", "JTOP_SERVICE": "True"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(lambda: b"service ready" in log.read_bytes(), "the service of jetson-stats")

    def ensure_started(self) -> None:
        """Starts the service unless it runs."""
        if self._process is None:
            self.start()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to all processes of the service."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kills the service, which leaves its socket behind."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def load(self, permille: int) -> None:
        """Changes the load of the GPU."""
        (self._folder / "fake_sys" / _GPU / "device/load").write_text(str(permille))

    def readable_copy(self, file: str) -> str:
        """Copies a file to /run of the board, where every user can read it."""
        copy = self._folder / "run" / Path(file).name
        shutil.copy(file, copy)
        copy.chmod(0o644)
        return f"/run/{copy.name}"

    def child_command(self) -> list[str]:
        """The command line of the daemon's child, in the namespace of the board, with faster readings."""
        return [*self.enter, *jetson_stats.child_command()[:-1], "0.3"]


def missing() -> str | None:
    """Why the service cannot be emulated here; `None` if it can."""
    if os.geteuid() != 0:
        return "the service of jetson-stats runs as root only"
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        return "mount namespaces are not allowed here"
    return None


@contextmanager
def emulated_service(folder: Path) -> Iterator[EmulatedService]:
    """Yields the service of an emulated Orin. It is not started yet."""
    for path, content in _FILES.items():
        _write(folder / "fake_sys" / path, content)
    devfreq = folder / "fake_sys/class/devfreq/17000000.gpu"
    devfreq.parent.mkdir(parents=True)
    devfreq.symlink_to(FAKE_SYS / _GPU)
    for number, (zone, temp) in enumerate(_ZONES.items()):
        _write(folder / f"sys/devices/virtual/thermal/thermal_zone{number}/type", zone)
        _write(folder / f"sys/devices/virtual/thermal/thermal_zone{number}/temp", temp)
    for name in ("sys/devices/system/cpu", "sys/devices/virtual/dmi/id", "run"):
        (folder / name).mkdir(parents=True)
    _write(folder / "group", Path("/etc/group").read_text() + "jtop:x:64999:\n")
    # It stays: removing it would undo the mounts of other tests that run now.
    FAKE_SYS.mkdir(exist_ok=True)
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", _MOUNT, str(folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        service = EmulatedService(folder, holder)
        try:
            assert holder.stdout.readline() == "mounted\n"
            yield service
        finally:
            service.kill()
            holder.kill()


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
