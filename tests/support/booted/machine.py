"""Boots a root folder with its own systemd in a container, as the machine on which the appliance runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from support.booted.host import (
    children,
    fast_folder,
    kill,
    mount_overlay,
    pid_inside,
    remove_cgroups,
    required_cgroup,
    unmount,
)
from support.booted.proxy import HostProxy
from support.booted.roots import NORMAL_USER
from support.waiting import eventually

_BOOT_S = 180.0
_SHUTDOWN_S = 120.0
_SIGRTMIN_POWER_OFF = signal.SIGRTMIN + 4
_NAMESPACES = ("-m", "-p", "-i", "-u", "-n", "-C")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}
_MAX_LINKS = 40
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_NETWORK_VARIABLES = (
    "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "PIP_CERT",
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL",
)  # fmt: skip


class BootedMachine:
    """A container with its own systemd, over a root folder that it does not change.

    The root folder stays as it is: changes go to a temporary folder, which is removed at the end. They survive `kill`,
    `shutdown` and `boot`, as on a disk. The machine has a loopback interface and no other network.

    Args:
        layers: Root folders that stay as they are, the topmost first: one of `base_root`, and over it those of `save`.
        network: Commands reach the host's network through a proxy, until `cut_network`. They get it by variables of the
            environment, so services do not have it.
        binds: Folder or file of the host to its place in the machine, read-only there.
        shared: Folder of the host to its place in the machine, writable there, such as a cache.
    """

    def __init__(
        self,
        *layers: Path,
        network: bool = False,
        binds: Mapping[Path, str] | None = None,
        shared: Mapping[Path, str] | None = None,
    ) -> None:
        self._layers = layers
        self._network = network
        self._proxy: HostProxy | None = None
        self._binds = {**(_certificates() if network else {}), **(binds or {})}
        self._shared = dict(shared or {})
        self._name = f"ishowtts-{uuid.uuid4().hex[:10]}"
        self._folder = Path(tempfile.mkdtemp(prefix="ishowtts-booted-", dir=fast_folder()))
        self._merged = self._folder / "merged"
        self._console = self._folder / "console.log"
        self._cgroup = required_cgroup() / self._name
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._systemd_pid = 0
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> BootedMachine:
        upper, work = self._folder / "upper", self._folder / "work"
        for place in (upper, work, self._merged):
            place.mkdir()
        upper.chmod(0o755)
        if not mount_overlay(self._layers, upper, work, self._merged):
            raise RuntimeError(f"no overlay could be mounted over {self._layers}")
        try:
            if self._network:
                place = self._merged / "etc/sudoers.d/network"
                place.write_text(f'Defaults env_keep += "{" ".join(_NETWORK_VARIABLES)}"\n')
            self.boot()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @property
    def is_up(self) -> bool:
        """Whether its systemd runs."""
        return self._systemd_pid > 0 and self._nspawn is not None and self._nspawn.poll() is None

    @property
    def has_network(self) -> bool:
        """Whether commands reach the host's network."""
        return self._proxy is not None

    @property
    def console(self) -> str:
        """What systemd has written to the console, over all boots."""
        return self._console.read_text(errors="replace")

    def boot(self) -> None:
        """Start systemd, and wait until it has started all units, or has given up on some."""
        if self.is_up:
            raise RuntimeError("the machine is up already")
        self._cgroup.mkdir(exist_ok=True)
        binds = [f"--bind-ro={source}:{target}" for source, target in self._binds.items()]
        binds += [f"--bind={source}:{target}" for source, target in self._shared.items()]
        command = ["systemd-nspawn", "--quiet", "--boot", "--keep-unit", "--register=no", "--private-network",
                   "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=read-only",
                   f"--machine={self._name}", "--hostname=appliance", *binds, "-D", str(self._merged)]  # fmt: skip
        # Containers in one cgroup would take the other's services for their own.
        joining = 'echo $$ >"$0" && exec "$@"'
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", joining, str(self._cgroup / "cgroup.procs"), *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        eventually(self._has_systemd, "systemd in the container", _BOOT_S)
        # If this process is killed, the pipe closes, and the container ends too.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'cat >/dev/null; kill -9 "$0"', str(self._systemd_pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        eventually(self._has_started, "the end of the boot", _BOOT_S)
        if self._network:
            self._proxy = HostProxy(self._systemd_pid)

    def cut_network(self) -> None:
        """Cut the connections to the host's network; there are no new ones until the next boot."""
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None

    def run(
        self,
        *command: str,
        check: bool = True,
        timeout_s: float = 180.0,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root. Past the deadline, it and what it started in its process group are killed."""
        return self._run([*command], check, timeout_s, env, stdin)

    def shell(
        self, script: str, check: bool = True, timeout_s: float = 180.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a bash script as root. It ends at the first command that fails."""
        return self.run("bash", "-euo", "pipefail", "-c", script, check=check, timeout_s=timeout_s, env=env)

    def user(
        self,
        *command: str,
        check: bool = True,
        timeout_s: float = 180.0,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a normal user, who may use `sudo`."""
        home = {"HOME": f"/home/{NORMAL_USER}", "USER": NORMAL_USER, **(env or {})}
        return self._run(["runuser", "-u", NORMAL_USER, "--", *command], check, timeout_s, home, stdin)

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command as root and return at once. It ends with the machine at the latest."""
        return subprocess.Popen(
            self._entering(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment(env),
            start_new_session=True,
        )

    def path(self, inside: str) -> Path:
        """Return the place on the host of a file in the machine, also of one in /run or /tmp while it is up.

        Links on the way are followed as in the machine. A link at the end of the path is not followed.
        """
        root = Path(f"/proc/{self._systemd_pid}/root") if self.is_up else self._merged
        names = [name for name in inside.split("/") if name]
        found: list[str] = []
        links = 0
        while names:
            name = names.pop(0)
            if name in {".", ".."}:
                found = found[:-1] if name == ".." else found
                continue
            place = root.joinpath(*found, name)
            if names and place.is_symlink():
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(f"{inside}: too many links")
                target = str(place.readlink())
                if target.startswith("/"):
                    found = []
                names = [*(part for part in target.split("/") if part), *names]
                continue
            found.append(name)
        return root.joinpath(*found)

    def host_pids(self, unit: str) -> list[int]:
        """Return the processes of a service, as the host sees them."""
        folder = next(self._cgroup.rglob(f"{unit}.service"))
        return [int(word) for word in (folder / "cgroup.procs").read_text().split()]

    def journal(self, unit: str, *arguments: str) -> str:
        """Return the messages of a unit, of all boots that are in the journal."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *arguments).stdout

    def wait_until(
        self, condition: Callable[[], object], what: str = "it", timeout_s: float = 120.0, poll_s: float = 0.1
    ) -> None:
        """Wait for a condition that starts commands. `poll_s` is the pause between two of them."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s:.0f} s"
            time.sleep(poll_s)

    def kill(self) -> None:
        """End everything in the machine at once and without notice, as a power cut does. Files that it wrote stay."""
        if self._nspawn is None:
            return
        self.cut_network()
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        if self._systemd_pid:
            # The kernel ends the whole PID namespace with its first process. The end of nspawn would leave it running.
            kill(self._systemd_pid)
        else:
            for pid in children(self._nspawn.pid):
                kill(pid)
        try:
            self._nspawn.wait(_SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn, self._systemd_pid = None, 0
        remove_cgroups(self._cgroup)

    def shutdown(self) -> None:
        """Power off: systemd stops all units in order."""
        if not self.is_up or self._nspawn is None:
            return
        os.kill(self._systemd_pid, _SIGRTMIN_POWER_OFF)
        try:
            self._nspawn.wait(_SHUTDOWN_S)
        finally:
            self.kill()

    def save(self, folder: Path) -> None:
        """Move what the machine has changed into a folder, as a layer for other machines. It must be off, and ends."""
        if self.is_up:
            raise RuntimeError("the machine is up")
        unmount(self._merged)
        # Unlike Python's functions, it keeps deleted files and attributes if the folder is on another disk.
        subprocess.run(["mv", "-T", str(self._folder / "upper"), str(folder)], check=True)

    def reboot(self) -> None:
        """Power off, and boot again."""
        self.shutdown()
        self.boot()

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        network = {}
        if self._proxy is not None:
            chosen = {name: os.environ[name] for name in _NETWORK_VARIABLES if name in os.environ}
            network = {**chosen, **self._proxy.environment, "SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES}
        return {**_ENVIRONMENT, "HOME": "/root", **network, **(more or {})}

    def _entering(self, command: tuple[str, ...] | list[str]) -> list[str]:
        if not self.is_up:
            raise RuntimeError("the machine is off")
        return ["nsenter", "-t", str(self._systemd_pid), *_NAMESPACES, "--", *command]

    def _run(
        self, command: list[str], check: bool, timeout_s: float, env: Mapping[str, str] | None, stdin: str
    ) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            self._entering(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=self._environment(env),
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        done = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
        if check and done.returncode:
            # A CalledProcessError would not show what the command said.
            raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{stdout[-4000:]}\n{stderr[-4000:]}")
        return done

    def _has_systemd(self) -> bool:
        nspawn = self._nspawn
        assert nspawn is not None
        assert nspawn.poll() is None, f"systemd-nspawn ended with {nspawn.returncode}:\n{self.console[-2000:]}"
        for pid in children(nspawn.pid):
            if pid_inside(pid) == 1:
                self._systemd_pid = pid
                return Path(f"/proc/{pid}/root/run/systemd/private").exists()
        return False

    def _has_started(self) -> bool:
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def _remove(self) -> None:
        self.kill()
        unmount(self._merged)
        eventually(self._has_removed_files, f"the removal of {self._folder}")

    def _has_removed_files(self) -> bool:
        shutil.rmtree(self._folder, ignore_errors=True)
        # A process that is being killed may still have added a file.
        return not self._folder.exists()


def _certificates() -> dict[Path, str]:
    """Bind the host's certificates: a proxy of a company signs with its own."""
    certificates = Path(os.environ.get("SSL_CERT_FILE") or _CERTIFICATES)
    return {certificates: _CERTIFICATES} if certificates.is_file() else {}
