"""The long form of tests/appliance/test_durability.py: 500 lines, 50 kills of the daemon, 20 of the broker, then both.

Then speaks 1,000 short lines on a real ALSA device and prints a table of the daemon's resources after every 100 lines.
Then harms the worker of the natural voice in the middle of 20 lines (killed, stopped, without memory, without CPU) and
listens whether a word is lost, and speaks without hibari, without F5 and without both. Then fuzzes each parser of
untrusted input for a minute (tests/support/fuzz_targets.py), guided by coverage if atheris is installed. Then a real
Home Assistant finds and uses the appliance, while each of them and the broker are restarted
(tests/appliance/test_home_assistant.py; left out if `scripts/setup home-assistant` was not run). Then a page of the
gateway stays open in Chromium while broker, daemon and gateway are killed (left out if chromium is not installed).

`scripts/endure` runs this. It prints one line of JSON for each run. The exit status is 1 if a line was lost or doubled,
the daemon's resources grow, or an input failed. A payload that docs/schemas does not allow ends the run with an error.
The folder of a failed run is kept.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from support import chromium, home_assistant
from support.appliance import Appliance
from support.drift import drift
from support.endurance import Plan, endure
from support.engine_faults import harm_worker, speak_with_absent_engines
from support.fuzz_targets import TARGETS
from support.gateway_endurance import keep_page_open

RUNS = {
    "daemon": lambda lines: Plan(lines, daemon_kills=50),
    "broker": lambda lines: Plan(lines, broker_kills=20),
    "both": lambda lines: Plan(lines, daemon_kills=50, broker_kills=20),
    "both-3.1.1": lambda lines: Plan(lines, daemon_kills=50, broker_kills=20, protocol="3.1.1"),
}

SOUND, WORKER, FUZZ, HOME_ASSISTANT, PAGE = "sound", "worker", "fuzz", "home-assistant", "page"


def main() -> int:
    """Returns the exit status: 0 if every run passed."""
    parser = argparse.ArgumentParser(prog="scripts/endure", description=__doc__)
    names = [*RUNS, SOUND, WORKER, FUZZ, HOME_ASSISTANT, PAGE]
    parser.add_argument("--runs", nargs="+", choices=names, default=names)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument(
        "--sound-lines", type=int, default=1000, help="number of lines on the sound device; at least 300"
    )
    parser.add_argument("--sound-s", type=float, default=0.1, help="length of each line's sound, in seconds")
    parser.add_argument("--faults", type=int, default=20, help="how often the worker of the natural voice is harmed")
    parser.add_argument("--page-kills", type=int, default=30, help="how often a part is killed while a page is open")
    parser.add_argument("--fuzz-s", type=float, default=60.0, help="fuzzing time of each target, in seconds")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[*TARGETS], help="targets to fuzz")
    parser.add_argument("--seed", type=int, help="seed for the times of the kills; default: a new one for each run")
    arguments = parser.parse_args()
    Appliance.checks_payloads = True
    passed = True
    if SOUND in arguments.runs:
        passed = _sound(max(300, arguments.sound_lines))
    if FUZZ in arguments.runs:
        passed = _fuzz(arguments.targets, arguments.fuzz_s) and passed
    if WORKER in arguments.runs:
        passed = _worker(arguments.faults, _seed(arguments)) and passed
    if HOME_ASSISTANT in arguments.runs:
        passed = _home_assistant() and passed
    if PAGE in arguments.runs:
        passed = _page(arguments.page_kills, _seed(arguments)) and passed
    for name in [name for name in arguments.runs if name in RUNS]:
        folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
        figures = endure(folder, replace(RUNS[name](arguments.lines), sound_s=arguments.sound_s, seed=_seed(arguments)))
        print(json.dumps({"run": name, **asdict(figures)}), flush=True)
        if figures.faults:
            print(f"{name}: {', '.join(figures.faults)}; see {folder}", file=sys.stderr)
            passed = False
        else:
            shutil.rmtree(folder)
    return 0 if passed else 1


def _seed(arguments: argparse.Namespace) -> int:
    return random.randrange(10**6) if arguments.seed is None else int(arguments.seed)  # noqa: S311  no secret


def _worker(faults: int, seed: int) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    harmed = harm_worker(folder / "harmed", faults, seed)
    print(json.dumps({"run": WORKER, "seed": seed, **asdict(harmed)}), flush=True)
    absent = speak_with_absent_engines(folder / "absent", 5)
    print(json.dumps({"run": f"{WORKER}-absent", **asdict(absent)}), flush=True)
    if harmed.problems or absent.problems:
        print(f"{WORKER}: {', '.join((*harmed.problems, *absent.problems))}; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


def _sound(lines: int) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    found = drift(folder, lines)
    print(found.table())
    figures = {name: value for name, value in asdict(found).items() if name != "held"}
    print(json.dumps({"run": SOUND, **figures, **found.slopes()}), flush=True)
    if found.faults:
        print(f"{SOUND}: {', '.join(found.faults)}; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


def _fuzz(targets: list[str], seconds: float) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    command = [sys.executable, "-m", "support.fuzzing", "--seconds", str(seconds), "--folder", str(folder)]
    if sum(subprocess.run([*command, target], check=False).returncode for target in targets):
        print(f"{FUZZ}: an input failed; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


def _home_assistant() -> bool:
    if reason := home_assistant.missing():
        print(json.dumps({"run": HOME_ASSISTANT, "skipped": reason}), flush=True)
        return True
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    tests = Path(__file__).resolve().parents[1] / "tests/appliance/test_home_assistant.py"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--basetemp", str(folder / "tests"), str(tests)]
    status = subprocess.run(command, cwd=tests.parents[2], check=False).returncode
    print(json.dumps({"run": HOME_ASSISTANT, "passed": status == 0}), flush=True)
    if status:
        print(f"{HOME_ASSISTANT}: a test failed; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


def _page(kills: int, seed: int) -> bool:
    if reason := chromium.missing():
        print(json.dumps({"run": PAGE, "skipped": reason}), flush=True)
        return True
    folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
    found = keep_page_open(folder, kills, seed)
    print(json.dumps({"run": PAGE, "seed": seed, **asdict(found)}), flush=True)
    if found.faults:
        print(f"{PAGE}: {', '.join(found.faults)}; see {folder}", file=sys.stderr)
        return False
    shutil.rmtree(folder)
    return True


if __name__ == "__main__":
    sys.exit(main())
