"""Installs the appliance in a booted machine as its operator does, and uses it as a user does."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from support.booted.machine import BootedMachine
from support.booted.roots import NORMAL_USER, cache_folder
from support.booted.virtual_machine import VirtualMachine

REPOSITORY = Path(__file__).resolve().parents[3]
CHECKOUT = f"/home/{NORMAL_USER}/ishowtts"
DEVICE = "hall"
SOUNDS = "/var/lib/ishowtts/state/sounds"
INSTALL_S = 500.0
_UV_CACHE = "/srv/uv-cache"

CACHES = {"UV_CACHE_DIR": f"{_UV_CACHE}/uv", "PIP_CACHE_DIR": f"{_UV_CACHE}/pip", "UV_LINK_MODE": "copy"}
"""Variables for an installation over the network, with the cache of `shared_cache`."""

_RUNNING_FILES = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log/journal", "/var/log/mosquitto", "/var/lib/mosquitto",
    "/var/lib/systemd", "/var/cache/ldconfig",
)  # fmt: skip


@contextmanager
def large_folder(place: str | None = None) -> Iterator[Path]:
    """Make a folder and remove it at the end. pytest would keep those of its last three runs: about 3 GB."""
    with tempfile.TemporaryDirectory(prefix="ishowtts-large-", dir=place) as folder:
        yield Path(folder)


def shared_cache() -> dict[Path, str]:
    """Return the cache of Python packages that all roots share, as `shared` of a machine."""
    folder = cache_folder() / "python"
    folder.mkdir(parents=True, exist_ok=True)
    return {folder: _UV_CACHE}


def copy_checkout(machine: BootedMachine, commit: str | None = None, place: str = CHECKOUT) -> str:
    """Put a checkout into the user's home: of a commit, or the files of this working tree. Returns its place."""
    target = machine.path(place)
    target.mkdir(parents=True)
    git = ["git", "-C", str(REPOSITORY)]
    if commit is not None:
        archive = subprocess.run([*git, "archive", commit], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(target, filter="tar")
    else:
        names = subprocess.run(
            [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
        ).stdout
        for name in filter(None, names.decode().split("\0")):
            if (REPOSITORY / name).is_file() and not name.startswith("tests/"):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, target / name)
    machine.run("chown", "-R", f"{NORMAL_USER}:", place)
    return place


def install(
    machine: BootedMachine, *options: str, checkout: str = CHECKOUT, check: bool = True, timeout_s: float = INSTALL_S
) -> subprocess.CompletedProcess[str]:
    """Run `sudo ./install.sh` with these options in the checkout, as the user."""
    words = [f"{name}={value}" for name, value in CACHES.items()] if machine.has_network else []
    command = ["sudo", *words, "./install.sh", *options]
    return machine.user("sh", "-c", 'cd "$0" && exec "$@"', checkout, *command, check=check, timeout_s=timeout_s)


def configuration(**sections: Any) -> str:
    """Return the operator's configuration: a name, sound into files, and these sections."""
    keys: dict[str, Any] = {"device": {"name": DEVICE}, "audio": {"device": f"wav:{SOUNDS}", "loudness_lufs": None}}
    for name, values in sections.items():
        keys[name] = {**keys.get(name, {}), **values}
    return yaml.safe_dump(keys)


def configure(machine: BootedMachine, **sections: Any) -> None:
    """Write the operator's configuration."""
    machine.user("sudo", "tee", "/etc/ishowtts/config.yaml", stdin=configuration(**sections))


def say(machine: BootedMachine, text: str, *options: str) -> dict[str, Any]:
    """Speak a line by `ishowtts say`, and return its last event."""
    done = machine.user("ishowtts", "say", "--json", *options, text, check=False)
    assert done.stdout, f"`ishowtts say` printed {done.stderr}"
    event: dict[str, Any] = json.loads(done.stdout)
    return event


def publish(machine: BootedMachine, topic: str, payload: str) -> None:
    """Publish to a topic of the appliance with mosquitto_pub, with QoS 1."""
    machine.user("mosquitto_pub", "-q", "1", "-t", f"ishowtts/{DEVICE}/{topic}", "-m", payload)


def retained(machine: BootedMachine, topic: str) -> str:
    """Return the retained message of a topic of the appliance; empty if there is none, or no broker."""
    topic = f"ishowtts/{DEVICE}/{topic}"
    return machine.user("mosquitto_sub", "-t", topic, "-C", "1", "-W", "1", check=False).stdout.strip()


def state(machine: BootedMachine) -> dict[str, Any]:
    """Return the retained `state`."""
    found: dict[str, Any] = json.loads(retained(machine, "state") or "{}")
    return found


def history(machine: BootedMachine) -> Sequence[dict[str, Any]]:
    """Return the lines that `ishowtts history` lists, the oldest first."""
    lines: list[dict[str, Any]] = json.loads(machine.user("sudo", "ishowtts", "history", "--json", "-n", "100").stdout)
    return lines


def is_active(machine: BootedMachine | VirtualMachine, unit: str = "ishowtts") -> bool:
    """Whether a unit runs and is ready."""
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"


def wait_for_ready(machine: BootedMachine, timeout_s: float = 180.0) -> None:
    """Wait until the service is ready and connected to the broker."""
    machine.wait_until(
        lambda: is_active(machine) and retained(machine, "availability") == "online", "the service", timeout_s
    )


def main_pid(machine: BootedMachine | VirtualMachine, unit: str = "ishowtts") -> int:
    """Return the PID of a service, as the machine sees it; 0 if it does not run."""
    return int(machine.run("systemctl", "show", "-P", "MainPID", unit).stdout)


def sound(machine: BootedMachine) -> NDArray[np.int16]:
    """Return everything that was played into files so far, in order."""
    pieces = []
    for path in sorted(machine.path(SOUNDS).glob("*.wav"), key=lambda path: path.stat().st_mtime_ns):
        data = path.read_bytes()
        if len(data) > 44:
            samples, _ = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
            pieces.append(samples[:, 0])
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def files(machine: BootedMachine) -> set[str]:
    """List all files, folders and links, except those that systems make as they run, and those of the user."""
    pruned = [*_RUNNING_FILES, f"/home/{NORMAL_USER}", "*/__pycache__"]
    options = " -o ".join(f"-path '{path}'" for path in pruned)
    return set(machine.shell(f"find / -xdev \\( {options} \\) -prune -o -print").stdout.splitlines())


def wait_for_outcome(machine: BootedMachine, line_id: str, outcome: str, timeout_s: float = 180.0) -> None:
    """Wait until a line has ended in this way."""
    machine.wait_until(
        lambda: (
            {"id": line_id, "outcome": outcome}.items()
            <= next((line for line in history(machine) if line["id"] == line_id), {}).items()
        ),
        f"the outcome {outcome} of {line_id}",
        timeout_s,
        poll_s=2.0,  # each asks with a program that takes 0.7 s of CPU
    )
