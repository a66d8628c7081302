"""The long form of tests/appliance/test_durability.py: 500 lines, 50 kills of the daemon, 20 of the broker, then both.

Then 1,000 short lines on a real ALSA device, with a table of what the daemon holds after every hundredth.
Then a minute of fuzzing for each thing that strangers can feed (tests/support/fuzz_targets.py), guided by coverage if
atheris is installed.

Run through `scripts/endure`. Prints one line of JSON for each run; exit 1 where a line was lost or doubled, what the
daemon holds grows, or an input failed. The folder of such a run is kept.
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

from support.drift import drift
from support.endurance import Plan, endure
from support.fuzz_targets import TARGETS

RUNS = {
    "daemon": lambda lines: Plan(lines, daemon_kills=50),
    "broker": lambda lines: Plan(lines, broker_kills=20),
    "both": lambda lines: Plan(lines, daemon_kills=50, broker_kills=20),
    "both-3.1.1": lambda lines: Plan(lines, daemon_kills=50, broker_kills=20, protocol="3.1.1"),
}


SOUND, FUZZ = "sound", "fuzz"


def main() -> int:
    """0 where every line had one row, one outcome and one voice."""
    parser = argparse.ArgumentParser(prog="scripts/endure", description=__doc__)
    parser.add_argument("--runs", nargs="+", choices=[*RUNS, SOUND, FUZZ], default=[*RUNS, SOUND, FUZZ])
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--sound-lines", type=int, default=1000, help="of the run on a sound device; at least 300")
    parser.add_argument("--sound-s", type=float, default=0.1, help="how long a line sounds")
    parser.add_argument("--fuzz-s", type=float, default=60.0, help="how long each target is fuzzed")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=[*TARGETS], help="what is fuzzed")
    parser.add_argument("--seed", type=int, help="of the moments of the kills; default: another one each time")
    arguments = parser.parse_args()
    good = True
    if SOUND in arguments.runs:
        good = _sound(max(300, arguments.sound_lines))
    if FUZZ in arguments.runs:
        good = _fuzz(arguments.targets, arguments.fuzz_s) and good
    for name in [name for name in arguments.runs if name in RUNS]:
        seed = random.randrange(10**6) if arguments.seed is None else arguments.seed  # noqa: S311  no secret
        folder = Path(tempfile.mkdtemp(prefix="ishowtts-endure-"))
        figures = endure(folder, replace(RUNS[name](arguments.lines), sound_s=arguments.sound_s, seed=seed))
        print(json.dumps({"run": name, **asdict(figures)}), flush=True)
        if figures.faults:
            print(f"{name}: {', '.join(figures.faults)}; see {folder}", file=sys.stderr)
            good = False
        else:
            shutil.rmtree(folder)
    return 0 if good else 1


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


if __name__ == "__main__":
    sys.exit(main())
