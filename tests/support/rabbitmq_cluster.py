"""A cluster of RabbitMQ with its MQTT plugin, from a folder with Debian 13, on free loopback ports. Needs root."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from support.broker_sets import BrokerNode

_START_S = 60.0
_HOME = Path("run/ishowtts-bench")  # in the folder with Debian
_PROGRAM = "usr/lib/rabbitmq/bin/rabbitmq-server"
_OPTIONS = (
    # Erlang's threads wait actively for work otherwise, and take the cores from what is measured.
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
)


class RabbitMqNode:
    """One node. It keeps its ports when it starts again.

    Args:
        root: the folder with Debian 13.
        number: of the node, from 0.
        count: how many nodes the cluster has.
        base_port: the first of the cluster's ports.
    """

    host = "127.0.0.1"

    def __init__(self, root: Path, number: int, count: int, base_port: int) -> None:
        self.port = base_port + number
        self._root = root
        self._number = number
        self._count = count
        self._base_port = base_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of Erlang's virtual machine, which a shell script has started."""
        assert self._process is not None
        started = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return next((process.pid for process in started if process.name() == "beam.smp"), self._process.pid)

    @property
    def log(self) -> str:
        """Everything that it has logged so far."""
        return self._own("log").read_text(errors="replace") if self._own("log").exists() else ""

    def start(self) -> RabbitMqNode:
        """Starts it. Returns when its MQTT plugin listens."""
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Starts its process. It waits for the other nodes before it listens for the first time."""
        self._write_config()
        with self._own("log").open("ab") as out:
            self._process = subprocess.Popen(
                ["chroot", str(self._root), f"/{_PROGRAM}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment(),
                start_new_session=True,
            )

    def wait(self) -> None:
        """Waits until its MQTT plugin listens."""
        process, deadline = self._process, time.monotonic() + _START_S
        assert process is not None
        while not self._listens():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ does not start:\n{self.log[-4000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends it cleanly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            process.wait(timeout=_START_S)
            deadline = time.monotonic() + _START_S
            while self._listens() and time.monotonic() < deadline:  # the shell may end before Erlang does
                time.sleep(0.02)
            with suppress(ProcessLookupError):  # helpers of Erlang that outlive it
                os.killpg(process.pid, signal.SIGKILL)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False

    def _own(self, name: str) -> Path:
        return self._root / _HOME / f"n{self._number}" / name

    def _environment(self) -> dict[str, str]:
        home = f"/{_HOME}/n{self._number}"
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": f"/{_HOME}",
            "RABBITMQ_NODENAME": f"n{self._number}@localhost",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{home}/db",
            "RABBITMQ_LOG_BASE": f"{home}/logs",
            "RABBITMQ_DIST_PORT": str(self._base_port + 10 + self._number),
            "ERL_EPMD_PORT": str(self._base_port + 20),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-setcookie ishowtts-bench {_OPTIONS}",
        }

    def _write_config(self) -> None:
        self._own("db").mkdir(parents=True, exist_ok=True)
        peers = [f"cluster_formation.classic_config.nodes.{i + 1} = n{i}@localhost" for i in range(self._count)]
        lines = [
            "listeners.tcp = none",
            f"mqtt.listeners.tcp.1 = {self.host}:{self.port}",
            "mqtt.allow_anonymous = true",
            "anonymous_login_user = guest",
            "anonymous_login_pass = guest",
            # Each session is on a majority of the nodes. On one node, what is published while that is down is lost.
            f"mqtt.durable_queue_type = {'quorum' if self._count > 1 else 'classic'}",
            "mqtt.max_session_expiry_interval_seconds = infinity",
            "mqtt.max_packet_size_unauthenticated = 65536",
            "mqtt.max_packet_size_authenticated = 1310720",
            "cluster_formation.peer_discovery_backend = classic_config",
            *(peers if self._count > 1 else ()),
            "log.console = true",
            "log.console.level = warning",
            "log.file = false",
        ]
        self._own("rabbitmq.conf").write_text("\n".join(lines) + "\n")
        self._own("plugins").write_text("[rabbitmq_mqtt].\n")


class RabbitMqCluster:
    """`with RabbitMqCluster(root, nodes) as cluster: …`."""

    def __init__(self, root: Path, count: int) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("RabbitMQ is started with chroot, which needs root: use sudo")
        if not (root / _PROGRAM).is_symlink():
            raise RuntimeError(
                f"{root} has no rabbitmq-server; make it with: "
                f"debootstrap --variant=minbase --include=rabbitmq-server trixie {root} http://deb.debian.org/debian"
            )
        base_port = random.randint(15_000, 31_000)  # below the range of ports that the kernel gives to clients
        self._root = root
        self._epmd_port = base_port + 20  # of Erlang's register of nodes, which they start themselves if it is missing
        self._epmd: subprocess.Popen[bytes] | None = None
        self.nodes = [RabbitMqNode(root, number, count, base_port) for number in range(count)]

    def saved_s(self, _node: BrokerNode) -> float:
        """What it has confirmed is on disk."""
        return time.monotonic()

    @property
    def shares_sessions(self) -> bool:
        """Whether a client may go on at another node."""
        return len(self.nodes) > 1

    @property
    def name(self) -> str:
        """What a report calls it."""
        return f"RabbitMQ, {len(self.nodes)} node(s)"

    def __enter__(self) -> RabbitMqCluster:
        self._forget()
        command = ["chroot", str(self._root), "epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for node in self.nodes:
            node.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        self._forget()

    def _forget(self) -> None:
        shutil.rmtree(self._root / _HOME, ignore_errors=True)
