"""The clocks of a board on paper that `jetson_clocks` changes besides the GPU's: CPU cores and memory."""

from __future__ import annotations

from pathlib import Path

from support.sysfs_tree import Tree

PROGRAMS = Path(__file__).parent
GPU = "sys/class/devfreq/17000000.gpu"
EMC_LOCK = "sys/kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked"
_CORE = {
    "online": "1",
    "cpufreq/scaling_min_freq": "729600",
    "cpufreq/scaling_max_freq": "2201600",
    "cpuidle/state0/disable": "0",
    "cpuidle/state1/disable": "0",
}


def add_clocks(tree: Tree, cores: int = 2) -> None:
    """Adds CPU cores, the GPU's power rail and the memory controller."""
    for number in range(cores):
        add_core(tree, number)
    tree.write("sys/devices/platform/gpu.0/railgate_enable", "1\n")
    tree.write(EMC_LOCK, "0\n")


def add_core(tree: Tree, number: int) -> None:
    """Adds a core, as if the power mode had switched it on."""
    for name, value in _CORE.items():
        tree.write(f"sys/devices/system/cpu/cpu{number}/{name}", f"{value}\n")


def clock_files(tree: Tree) -> dict[str, str]:
    """Returns each file that a lock changes, with its content."""
    folders = ("devices/system/cpu", "devices/platform", "class/devfreq", "kernel/debug")
    files = (path for folder in folders for path in (tree.root / "sys" / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(tree.root)): path.read_text() for path in files if path.name != "cur_freq"}
