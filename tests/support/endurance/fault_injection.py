"""Faults of many kinds at random moments of a run. Each kind has a thread, so that they overlap."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from support.appliance import Appliance
from support.broker import Broker
from support.gateway_process import GatewayProcess
from support.pulse import Pulse
from support.wall_clock import WallClock

WORKER_FAULTS = ("kill", "stop", "no_memory")
Inject = Callable[[random.Random], float | None]
"""Injects a fault, and returns once it is over. Gives its beginning in monotonic seconds; `None` without a victim."""
_YEAR_S = 365 * 86_400
_POLL_S = 0.03


@dataclass(frozen=True)
class Injected:
    """A fault that was injected, in monotonic seconds. A worker that is stopped is so until the daemon kills it."""

    kind: str
    began_s: float
    ended_s: float


class FaultThreads:
    """`with FaultThreads(...) as threads:` injects each kind `counts[kind]` times while `progress` goes from 0 to 1.

    Args:
        inject: Carries out each kind. It returns when the fault is over.
    """

    def __init__(self, counts: Mapping[str, int], inject: Mapping[str, Inject], seed: int) -> None:
        self.progress = 0.0
        self.injected: list[Injected] = []
        self._inject = inject
        self._errors: list[BaseException] = []
        self._stopped = False
        self._threads = [
            threading.Thread(
                target=self._run, args=(kind, count, random.Random(f"{seed} {kind}")), name=f"fault {kind}"
            )
            for kind, count in counts.items()
        ]

    @property
    def busy(self) -> bool:
        """Whether faults are still to come."""
        return any(thread.is_alive() for thread in self._threads)

    def raise_error(self) -> None:
        """Raises the first error of a thread, if there is one."""
        if self._errors:
            raise self._errors[0]

    def __enter__(self) -> FaultThreads:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = error is not None
        self.progress = 1.0
        for thread in self._threads:
            thread.join()

    def _run(self, kind: str, count: int, chance: random.Random) -> None:
        try:
            for moment in sorted(chance.random() for _ in range(count)):
                while self.progress < moment and not self._errors:
                    time.sleep(_POLL_S)
                if self._errors or self._stopped:
                    return
                if (began_s := self._inject[kind](chance)) is not None:
                    self.injected.append(Injected(kind, began_s, time.monotonic()))
        except BaseException as error:
            self._errors.append(error)


class Lives:
    """Kills one process, starts it again, and knows when each of its processes ran.

    Attributes:
        starts_s: When each process was started, in monotonic seconds. `ends_s`: when each was killed.
        answered_after_s: How long each start took.
    """

    def __init__(self, kill: Callable[[], object], start: Callable[[], object]) -> None:
        self._kill, self._start = kill, start
        self.starts_s = [time.monotonic()]
        self.ends_s: list[float] = []
        self.answered_after_s: list[float] = []

    def kill(self, chance: random.Random) -> float:
        """Kills it, and starts it again up to half a second later."""
        self.ends_s.append(time.monotonic())
        self._kill()
        time.sleep(chance.uniform(0, 0.5))
        self.starts_s.append(time.monotonic())
        self._start()
        self.answered_after_s.append(time.monotonic() - self.starts_s[-1])
        return self.ends_s[-1]

    def is_up_since(self, moment_s: float) -> bool:
        """Whether the process of now was there at that moment."""
        is_up = len(self.ends_s) == len(self.answered_after_s)
        return is_up and self.starts_s[-1] + (self.answered_after_s or [0.0])[-1] <= moment_s

    def spans(self, until_s: float) -> list[tuple[float, float]]:
        """When the processes ran, each from its start to its kill."""
        return list(zip(self.starts_s, [*self.ends_s, until_s], strict=True))


def harm_workers(kind: str, fault: str, appliance: Appliance, timeout_s: float = 90) -> Inject:
    """Returns a fault of one kind of worker. It waits until such a worker runs; without one it is not injected."""

    def harm(chance: random.Random) -> float | None:
        deadline = time.monotonic() + timeout_s
        while (worker := worker_of(appliance, kind)) is None:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
        began_s = time.monotonic()
        with suppress(psutil.Error, ProcessLookupError):
            _harm(fault, worker, chance)
        return began_s

    return harm


def worker_of(appliance: Appliance, kind: str) -> psutil.Process | None:
    """The worker of one engine of the daemon that runs now; `None` if there is none, or it is stopped already.

    Before a worker has threads, it has not asked the kernel yet to be killed with its daemon. Stopped then, it outlives
    a daemon that is killed. Of the installed service systemd kills all processes.
    """
    process = appliance.process
    if process is None:
        return None
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children():
            if (
                child.cmdline()[-1:] == [kind]
                and child.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
                and child.num_threads() > 1
            ):
                return child
    return None


def _harm(fault: str, worker: psutil.Process, chance: random.Random) -> None:
    if fault == "kill":
        os.kill(worker.pid, signal.SIGKILL)
    elif fault == "stop":
        os.kill(worker.pid, signal.SIGSTOP)
        with suppress(psutil.TimeoutExpired):
            worker.wait(150)
    else:
        limits = resource.prlimit(worker.pid, resource.RLIMIT_AS)
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (worker.memory_info().vms, limits[1]))
        time.sleep(chance.uniform(1, 4))
        resource.prlimit(worker.pid, resource.RLIMIT_AS, limits)


def lose_device(pulse: Pulse, spans: list[tuple[float, float]]) -> Inject:
    """Returns a fault: the sound server is killed, and is there again after up to 3 s. Adds to `spans` when it ran."""

    def lose(chance: random.Random) -> float:
        lost_s = time.monotonic()
        spans.append((pulse.up_at, lost_s))
        pulse.kill()
        time.sleep(chance.uniform(0.2, 3))
        pulse.start()
        return lost_s

    return lose


def fill_disk(folder: Path) -> Inject:
    """Returns a fault: a file takes all room of a small disk for up to 8 s."""

    def fill(chance: random.Random) -> float:
        began_s, filler = time.monotonic(), folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65_536)):
                pass
        time.sleep(chance.uniform(2, 8))
        filler.unlink()
        return began_s

    return fill


def jump(clock: WallClock) -> Inject:
    """Returns a fault: the wall clock jumps by up to a year, ahead or back."""

    def jump_once(chance: random.Random) -> float:
        clock.set_ahead(round(chance.uniform(-_YEAR_S, _YEAR_S)))
        return time.monotonic()

    return jump_once


def kill_broker(broker: Broker, on_killed: Callable[[float], None]) -> Inject:
    """Returns a fault: the broker is killed. `on_killed` is called before it is started again."""

    def kill(chance: random.Random) -> float:
        broker.kill()
        killed_s = time.monotonic()
        time.sleep(chance.uniform(0.1, 0.5))
        on_killed(killed_s)
        broker.start()
        return killed_s

    return kill


def small_disk(folder: Path, size_mb: int) -> str | None:
    """Mounts a disk of its own on an empty folder. Returns why not; `None` if it is there."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    return mounted.stderr.strip() or "mount failed" if mounted.returncode else None


def unmount(folder: Path) -> None:
    """Unmounts what `small_disk` has mounted."""
    subprocess.run(["umount", "-l", str(folder)], check=True)


def restart_gateway(gateway: GatewayProcess) -> Lives:
    """The lives of the gateway, which runs already."""
    return Lives(lambda: gateway.stop(signal.SIGKILL), gateway.start)


def faults_between(injected: list[Injected], began_s: float, ended_s: float) -> tuple[str, ...]:
    """The kinds of faults that may be the cause of what happened then: they were over less than 3 s before."""
    kinds = Counter(each.kind for each in injected if each.began_s < ended_s and each.ended_s + 3 > began_s)
    return tuple(sorted(kinds))


def left_over(variable: str, value: str) -> list[str]:
    """The command lines of processes that have this in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(variable) == value:
                found.append(" ".join(process.cmdline()))
    return found
