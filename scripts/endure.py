"""Long tests: each run harms the appliance for minutes or hours, and checks that no line is lost or doubled.

The short forms of these runs are in the test suite. `--runs long` takes an hour or two on two cores. Each run prints
one line of JSON with its figures. The exit status is 1 if a run found a fault; its folder is then kept. A payload that
docs/schemas does not allow ends a run with an error.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from support import chromium, home_assistant
from support import pulse as sound_server
from support.appliance import Appliance
from support.endurance.all_faults import all_faults
from support.endurance.day_of_use import Plan as DayPlan
from support.endurance.fault_plan import long_plan
from support.endurance.hostile_payloads import send_hostile_payloads
from support.endurance.kills import Plan, endure
from support.endurance.open_page import keep_page_open
from support.endurance.power_cut import cut_power
from support.endurance.resources import spend_day
from support.endurance.worker_faults import harm_worker, speak_with_absent_engines
from support.fuzz_targets import TARGETS


class Figures(Protocol):
    """What came of a run: a dataclass."""

    @property
    def faults(self) -> Collection[str]:
        """Names of what should not be; empty if all is well."""


@dataclass(frozen=True)
class Options:
    """How a run is carried out.

    Attributes:
        count: How many lines, faults, kills or payloads.
        seconds: How long each target is fuzzed.
        targets: What is fuzzed.
        seed: Determines the order of faults and their moments.
    """

    count: int
    seconds: float
    targets: Sequence[str]
    seed: int


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        summary: What it does, for `--help`.
        count: How many lines, faults, kills or payloads, unless `--count` is given.
        carry_out: Does it in an empty folder.
        missing: Returns why it cannot be done on this machine; `None` if it can.
    """

    summary: str
    count: int
    carry_out: Callable[[Path, Options], Figures]
    missing: Callable[[], str | None] = lambda: None


@dataclass(frozen=True)
class Failures:
    """Parts of a run that failed, by name."""

    faults: dict[str, Any]


def _kills(folder: Path, options: Options, **plan: Any) -> Figures:
    return endure(folder, Plan(options.count, seed=options.seed, **plan))


def _absent(folder: Path, options: Options) -> Figures:
    return speak_with_absent_engines(folder, options.count)


def _fuzz(folder: Path, options: Options) -> Figures:
    command = [sys.executable, "-m", "support.fuzzing", "--seconds", str(options.seconds), "--folder", str(folder)]
    failed = {name: "failed" for name in options.targets if subprocess.run([*command, name], check=False).returncode}
    return Failures(failed)


def _resources(folder: Path, options: Options) -> Figures:
    found = spend_day(folder, DayPlan(max(100, options.count)))
    print(found.table(), file=sys.stderr)
    return found


def _home_assistant(folder: Path, _options: Options) -> Figures:
    tests = Path(__file__).resolve().parents[1] / "tests/appliance/test_home_assistant.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--basetemp", str(folder / "tests"), str(tests)]
    status = subprocess.run(command, cwd=tests.parents[2], check=False).returncode
    return Failures({"pytest": status} if status else {})


RUNS = {
    "daemon": Run("kill the daemon", 500, lambda *run: _kills(*run, daemon_kills=50)),
    "broker": Run("kill the broker", 500, lambda *run: _kills(*run, broker_kills=20)),
    "both": Run("kill both", 500, lambda *run: _kills(*run, daemon_kills=50, broker_kills=20)),
    "both-3.1.1": Run(
        "kill both, over MQTT 3.1.1",
        500,
        lambda *run: _kills(*run, daemon_kills=50, broker_kills=20, protocol="3.1.1"),
    ),
    "worker": Run(
        "kill, stop and starve the natural voice's worker in mid-line, and listen whether a word is lost",
        20,
        lambda folder, options: harm_worker(folder, options.count, options.seed),
    ),
    "absent": Run("speak without hibari, without F5 and without both", 5, _absent),
    "fuzz": Run(f"fuzz untrusted input: {', '.join(TARGETS)}", 0, _fuzz),
    "home-assistant": Run(
        "restart and kill a real Home Assistant, broker and daemon", 1, _home_assistant, home_assistant.missing
    ),
    "page": Run(
        "kill broker, daemon and gateway while a page is open in Chromium",
        30,
        lambda folder, options: keep_page_open(folder, options.count, options.seed),
        chromium.missing,
    ),
    "all-faults": Run(
        "harm everything at once while lines are spoken on a sound device: no line is lost, doubled or late",
        10_000,
        lambda folder, options: all_faults(folder, long_plan(folder, options.count, options.seed)),
        sound_server.missing,
    ),
    "resources": Run(
        "use daemon, workers and gateway for a day; memory, threads, descriptors, disk and latency must not grow",
        10_000,
        _resources,
    ),
    "payloads": Run(
        "fuzz the targets, and publish what that found and changes of it on all topics of a daemon",
        1_000_000,
        lambda folder, options: send_hostile_payloads(
            folder, options.count, options.seed, options.targets, options.seconds
        ),
    ),
    "power-cut": Run(
        "cut the power of a daemon on paper, and start another on what the disk may hold then",
        200,
        lambda folder, options: cut_power(folder, options.count, options.seed),
        lambda: None if shutil.which("strace") else "strace is not installed",
    ),
}
LONG = ("all-faults", "power-cut", "payloads", "resources")


def main() -> int:
    """Returns the exit status: 0 if every run passed."""
    short = [name for name in RUNS if name not in LONG]
    runs = "\n".join(f"  {name:15} {run.summary} ({run.count})" for name, run in RUNS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/endure",
        description=f"{__doc__}\nThe runs, and how many lines, faults, kills or payloads each has:\n{runs}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs", nargs="+", choices=[*RUNS, "long"], default=short, help="default: all but the long ones"
    )
    parser.add_argument("--count", type=int, help="so many lines, faults, kills or payloads in each run")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each target is fuzzed")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[*TARGETS], help="targets to fuzz")
    parser.add_argument("--seed", type=int, help="for the moments of the faults; default: a new one for each run")
    arguments = parser.parse_args()
    Appliance.checks_payloads = True
    names = [each for name in arguments.runs for each in (LONG if name == "long" else (name,))]
    passed = [_passed(name, RUNS[name], arguments) for name in names]
    return 0 if all(passed) else 1


def _passed(name: str, run: Run, arguments: argparse.Namespace) -> bool:
    if reason := run.missing():
        print(json.dumps({"run": name, "skipped": reason}), flush=True)
        return True
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed  # noqa: S311  no secret
    count = run.count if arguments.count is None else arguments.count
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    figures = run.carry_out(folder, Options(count, arguments.seconds, arguments.targets, seed))
    print(json.dumps({"run": name, "seed": seed, **asdict(figures)}, default=str), flush=True)
    if figures.faults:
        print(f"{name}: {', '.join(figures.faults)}; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


if __name__ == "__main__":
    sys.exit(main())
