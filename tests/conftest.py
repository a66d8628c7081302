"""Real parts that tests of several areas share."""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from support import daemon_server
from support.appliance import Appliance
from support.broker import Broker
from support.checkpoints import shared_checkpoint
from support.client import Client
from support.service_process import ServiceProcess

if TYPE_CHECKING:
    from ishowtts_bench.metrics.asr import Asr

# Tests run side by side: two torches that each take every core wait for one another, in daemons and workers too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


ServiceProcess.server = staticmethod(daemon_server.shared)
Appliance.checks_payloads = True


# Without torch (the suite on Python 3.10) the folder bench cannot even be read.
collect_ignore = [] if importlib.util.find_spec("torch") else ["bench"]


# How fast examples are made says nothing about the code: other tests run on the same cores.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


# Folders whose tests mostly wait (for brokers, devices, deadlines) or mostly compute; the rest is short.
_WAITING = ("appliance", "mqtt", "speech", "playback")
_COMPUTING = ("engines", "bench", "scripts", "cli", "gateway")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while the tests are found, and never look at what was made by then.

    Python would look again and again at a growing heap, all of which stays: 2 s of 13.5 s of computing, in each worker.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put tests that share a fixture of their module into one group, so that they run one after another.

    Else tests of other modules run between them, and pytest sets the fixture up again for each test.
    """
    if not isinstance(item, pytest.Function) or item.get_closest_marker("xdist_group"):
        return
    if any(found[-1].scope == "module" for found in item._fixtureinfo.name2fixturedefs.values()):
        item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(Path(__file__).parent).with_suffix(""))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long tests first, those that wait mixed with those that compute, so that no core idles at the end.

    The tests that measure the latency of sound come after them: beside the engines and Chromium they cannot be in time.
    """
    root = Path(__file__).parent

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(root).parts[0]

    def is_long(item: pytest.Item) -> bool:
        return item.get_closest_marker("slow") is not None

    def measures_sound(item: pytest.Item) -> bool:
        group = item.get_closest_marker("xdist_group")
        return group is not None and group.args == ("sound",)

    sound = [item for item in items if measures_sound(item)]
    others = [item for item in items if not measures_sound(item)]
    waiting = sorted((item for item in others if folder(item) in _WAITING), key=is_long, reverse=True)
    computing = sorted((item for item in others if folder(item) in _COMPUTING), key=is_long, reverse=True)
    rest = [item for item in others if folder(item) not in (*_WAITING, *_COMPUTING)]
    share = len(waiting) / max(1, len(computing))
    position = {id(item): i / max(share, 1e-9) for i, item in enumerate(waiting)}
    position |= {id(item): float(i) for i, item in enumerate(computing)}
    mixed = sorted((*waiting, *computing), key=lambda item: position[id(item)])
    items[:] = [*mixed, *sound, *rest]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail if pytest-xdist ignores the groups: tests that share a service would run side by side, each with its own."""
    if session.config.getoption("loadgroup", default=False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        if ignored := [item.nodeid for item in grouped if "@" not in item.nodeid.rpartition("]")[2]]:
            raise pytest.UsageError(
                f"pytest-xdist ignores xdist_group, as of {ignored[0]}: install the locked versions"
            )


@pytest.fixture(autouse=True)
def single_torch_thread() -> None:
    """Torch computes on one thread, even after another library has changed the thread count of OpenMP."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_log_handlers() -> Iterator[None]:
    """Handlers that a test adds to the log of the package, as `ishowtts run` does, end with the test."""
    loggers, hook = [logging.getLogger(name) for name in ("ishowtts", "ishowtts_gateway")], threading.excepthook
    former = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    yield
    for logger, handlers, level in former:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    threading.excepthook = hook


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """`make_broker(users=…, extra=…)`: a started mosquitto that is ended after the test."""
    with ExitStack() as stack:
        made = 0

        def make(**options: Any) -> Broker:
            nonlocal made
            made += 1
            directory = tmp_path / f"broker-{made}"
            directory.mkdir()
            return stack.enter_context(Broker(directory, **options))

        yield make


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A mosquitto for this test alone: `.host`, `.port`, `.stop()`, `.kill()`, `.start()`."""
    return make_broker()


@pytest.fixture
def mqtt_client(broker: Broker) -> Iterator[Client]:
    """A connected MQTT 5 client of `broker`: `subscribe`, `publish`, `wait_for` with a deadline."""
    with Client(broker.host, broker.port) as client:
        yield client


@pytest.fixture
def make_appliance(tmp_path: Path, broker: Broker) -> Iterator[Callable[..., Appliance]]:
    """`make_appliance(settings=…)`: a started daemon that is ended after the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> Appliance:
            return stack.enter_context(Appliance(tmp_path, broker, **options))

        yield make


@pytest.fixture
def appliance(make_appliance: Callable[..., Appliance]) -> Appliance:
    """A daemon that speaks with espeak-ng into a WAV file."""
    return make_appliance()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small disk ({mounted.stderr.strip()})")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the real architecture, the smallest size. Tests do not write into it."""
    return shared_checkpoint(tmp_path_factory)


@pytest.fixture(scope="session")
def asr() -> Asr:
    """Whisper, which takes two seconds to load. Tests that share it are in the group `metrics`."""
    from ishowtts_bench.metrics import metric_packages

    if absent := metric_packages.missing(metric_packages.WHISPER):
        pytest.skip(f"no speech recognition: {absent[0]} is not installed (scripts/setup test)")
    from ishowtts_bench.metrics.asr import Asr

    return Asr()
