"""Boots a root file system in QEMU: for what a container cannot show, such as a power cut, a clock or a sound card."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from support.booted.virtual_disk import BootFiles

# Not "kvm:tcg": in some virtual machines /dev/kvm opens, but no guest ever starts.
_ACCELERATOR = os.environ.get("ISHOWTTS_VM_ACCEL", "tcg,thread=multi")
# Without KVM everything takes about ten times as long, and the tests share their cores.
_BOOT_S = 600.0
_GRACE_S = 60.0


class VirtualMachine:
    """A booted machine, with the interface of `BootedMachine`. Its network is none, and its agent needs none.

    Args:
        files: What it boots. The disk is not changed.
        memory_mb: Its memory.
        clock: The time of its hardware clock at each boot, as in `2001-01-01T00:00:00`. None is the time of the host.
        cache: The cache mode of the disk in QEMU. With `writeback`, a power cut also loses what the machine has
            written to the disk without a flush.
        sound: The WAV file with what is played on the USB cards of `plug_in_card`.
    """

    def __init__(
        self,
        files: BootFiles,
        *,
        memory_mb: int = 2048,
        clock: str | None = None,
        cache: str = "writeback",
    ) -> None:
        self._files, self._memory_mb, self._clock, self._cache = files, memory_mb, clock, cache
        self._folder = tempfile.TemporaryDirectory(prefix="ishowtts-vm-")
        self.folder = Path(self._folder.name)
        self.sound = self.folder / "sound.wav"
        self._overlay = self.folder / "disk.qcow2"
        self._qemu: subprocess.Popen[bytes] | None = None
        self._agent: _LineSocket | None = None
        self._monitor: _LineSocket | None = None
        self._requests = 0

    def __enter__(self) -> VirtualMachine:
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self._files.disk, self._overlay], check=True
        )
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def boot(self) -> None:
        """Switches the machine on, and returns when its agent answers."""
        assert self._qemu is None, "the machine is already on"
        agent, monitor = self.folder / "agent", self.folder / "monitor"
        for path in (agent, monitor):
            path.unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            self._qemu = subprocess.Popen(
                [
                    "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
                    "-accel", _ACCELERATOR, "-cpu", "max", "-smp", "2", "-m", str(self._memory_mb),
                    "-kernel", self._files.kernel, "-initrd", self._files.initramfs,
                    "-append", "console=ttyS0 quiet mitigations=off random.trust_cpu=on panic=-1",
                    "-no-reboot",
                    "-serial", f"file:{self.folder / 'console.log'}",
                    "-drive", f"file={self._overlay},if=none,id=disk,cache={self._cache}",
                    "-device", "virtio-blk-pci,drive=disk",
                    "-device", "virtio-serial-pci",
                    "-chardev", f"socket,id=agent,path={agent},server=on,wait=off",
                    "-device", "virtserialport,chardev=agent,name=ishowtts.agent",
                    "-device", "qemu-xhci,id=usb",
                    "-audiodev", f"wav,id=sound,path={self.sound},out.frequency=48000",
                    "-rtc", f"base={self._clock or 'utc'}",
                    "-qmp", f"unix:{monitor},server=on,wait=off",
                    "-nic", "none",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _BOOT_S
        self._monitor = _LineSocket(monitor, deadline, self._qemu)
        self._monitor.receive(deadline)  # the greeting
        self._execute("qmp_capabilities")
        self._agent = _LineSocket(agent, deadline, self._qemu)
        self._request({"command": ["true"], "env": {}, "timeout_s": _BOOT_S, "stdin": ""}, deadline)

    @property
    def is_up(self) -> bool:
        """Whether it is switched on."""
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def console(self) -> str:
        """What has been written to the console, over all boots."""
        log = self.folder / "console.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def run(
        self,
        *command: str,
        check: bool = True,
        timeout_s: float = 120.0,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as root. Past the deadline it is killed."""
        request = {"command": command, "env": dict(env or {}), "timeout_s": timeout_s, "stdin": stdin}
        reply = self._request(request, time.monotonic() + timeout_s + _GRACE_S)
        if "error" in reply:
            raise TimeoutError(f"{shlex.join(command)}: {reply['error']}")
        stdout, stderr = reply["stdout"], reply["stderr"]
        if check and reply["status"] != 0:
            raise AssertionError(f"{shlex.join(command)}: status {reply['status']}\n{stdout[-4000:]}\n{stderr[-4000:]}")
        return subprocess.CompletedProcess(command, reply["status"], stdout, stderr)

    def shell(
        self, script: str, check: bool = True, timeout_s: float = 120.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a bash script as root. It ends at the first command that fails."""
        return self.run("bash", "-euo", "pipefail", "-c", script, check=check, timeout_s=timeout_s, env=env)

    def write(self, path: str, content: str, mode: str = "0644") -> None:
        """Writes a file of root, and makes its folder."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=content)

    def journal(self, unit: str, *arguments: str) -> str:
        """Returns the messages of a unit, of all boots that are in the journal."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *arguments).stdout

    def wait_until(self, condition: Callable[[], object], what: str = "it", timeout_s: float = 180.0) -> None:
        """Waits for a condition; it starts commands, which take long, so it is asked once a second."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s:.0f} s"
            time.sleep(1.0)

    def plug_in_card(self) -> None:
        """Plugs in a USB sound card. What it plays is in `sound`."""
        self._execute("device_add", driver="usb-audio", audiodev="sound", id="card", bus="usb.0")

    def pull_card(self) -> None:
        """Pulls the USB sound card."""
        self._execute("device_del", id="card")

    def kill(self) -> None:
        """Cuts the power: what is only in memory is lost."""
        assert self._qemu is not None
        self._qemu.kill()
        self._off()

    def shutdown(self) -> None:
        """Shuts the machine down as its power button does."""
        self.run("systemctl", "--no-block", "poweroff")
        assert self._qemu is not None
        self._qemu.wait(_BOOT_S)
        self._off()

    def reboot(self) -> None:
        """Shuts the machine down and boots it."""
        self.shutdown()
        self.boot()

    def close(self) -> None:
        """Ends the machine and removes its files."""
        if self._qemu is not None:
            self.kill()
        self._folder.cleanup()

    def _off(self) -> None:
        assert self._qemu is not None
        self._qemu.wait()
        for line in (self._agent, self._monitor):
            if line is not None:
                line.close()
        self._qemu = self._agent = self._monitor = None

    def _request(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """Sends a request to the agent and returns its reply. One after another, from one thread."""
        assert self._agent is not None, "the machine is off"
        self._requests += 1
        self._agent.send({"id": self._requests, **request})
        while True:
            reply = self._agent.receive(deadline)
            if reply["id"] == self._requests:
                return reply

    def _execute(self, command: str, **arguments: Any) -> None:
        """Runs a command of QEMU's monitor."""
        assert self._monitor is not None, "the machine is off"
        self._monitor.send({"execute": command, "arguments": arguments})
        deadline = time.monotonic() + 60
        while True:
            reply = self._monitor.receive(deadline)
            assert "error" not in reply, reply
            if "return" in reply:
                return


class _LineSocket:
    """Sends and receives lines of JSON through a socket of QEMU."""

    def __init__(self, path: Path, deadline: float, qemu: subprocess.Popen[bytes]) -> None:
        self._qemu = qemu
        self._socket = socket.socket(socket.AF_UNIX)
        self._received = b""
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self._socket.connect(str(path))
                return
            if qemu.poll() is not None:
                raise RuntimeError(f"QEMU ended: {(path.parent / 'qemu.log').read_text()}")
            assert time.monotonic() < deadline, f"QEMU has not made {path}"
            time.sleep(0.05)

    def send(self, message: dict[str, Any]) -> None:
        self._socket.settimeout(60)
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            data = self._socket.recv(65536)
            if not data:
                raise RuntimeError("the machine has ended")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self._socket.close()
