"""Turns a booted machine into a stand-in for a Jetson: its files, NVIDIA's two programs, and a configuration for both.

The files of the board are below `BOARD`, because a container cannot write to /sys.
"""

from __future__ import annotations

from pathlib import Path

from support.board_clocks import EMC_LOCK, GPU, PROGRAMS, add_clocks
from support.booted.machine import BootedMachine
from support.sysfs_tree import Tree

BOARD = "/srv/jetson"
FREE_HZ = "306000000"
LOCKED_HZ = "1300500000"
_LISTING = Path(__file__).parents[2] / "board/trees/agx-orin-jetpack6.json"
_UNITS = ("ishowtts-clocks", "ishowtts-clocks-repair")


def add_board(machine: BootedMachine) -> None:
    """Adds the board, in power mode 2 and with clocks that are not locked. The machine must be off or be restarted."""
    tree = Tree(machine.path(BOARD), _LISTING)
    add_clocks(tree)
    for name in ("etc/nv_tegra_release", "etc/nvpmodel.conf", "var/lib/nvpmodel/status"):
        target = machine.path(f"/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tree.root / name).read_bytes())
    # The stand-in for nvpmodel keeps the mode where NVIDIA's does, so that the sandbox of the unit must let it.
    status = tree.root / "var/lib/nvpmodel/status"
    status.unlink()
    status.symlink_to("/var/lib/nvpmodel/status")
    for name in ("jetson_clocks", "nvpmodel"):
        program = machine.path(f"/usr/bin/{name}")
        program.write_bytes((PROGRAMS / name).read_bytes())
        program.chmod(0o755)
    for unit in _UNITS:
        drop_in = machine.path(f"/etc/systemd/system/{unit}.service.d/stand-in.conf")
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(
            f"[Service]\nReadWritePaths={BOARD}\nEnvironment=STANDIN_SYS={BOARD}/sys STANDIN_MARK=/tmp/mark\n"
        )


def gpu_min_hz(machine: BootedMachine) -> str:
    """Returns the lowest clock of the GPU that the board allows."""
    return machine.path(f"{BOARD}/{GPU}/min_freq").read_text().strip()


def memory_is_locked(machine: BootedMachine) -> bool:
    """Whether the clock of the memory is locked."""
    return machine.path(f"{BOARD}/{EMC_LOCK}").read_text().strip() == "1"


def unlock_gpu(machine: BootedMachine) -> None:
    """Unlocks the clock of the GPU, as a change of the power mode by another program does."""
    machine.path(f"{BOARD}/{GPU}/min_freq").write_text(f"{FREE_HZ}\n")
    machine.path(f"{BOARD}/{GPU}/cur_freq").write_text(f"{FREE_HZ}\n")
