"""Runs the GPU benchmarks of `ishowtts bench` in two short calls: with --first what shows faults, then the whole.

Each step has a time limit. If a step fails or takes too long, the next one starts. The folder gets `figures.json`,
`log.txt` and `goals.txt`, which are complete at every moment, and `samples.tar` if the model has trained weights.

Any Python with torch, f5-tts and vocos works: PYTHON=python3 scripts/bench-gpu. The exit status is 1 if a step failed.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from ishowtts_bench.gpu_suite import forked_step, gpu_steps
from ishowtts_bench.gpu_suite.carried_wheels import add_wheels
from ishowtts_bench.gpu_suite.forked_step import STOP_SIGNALS, ForkedStep
from ishowtts_bench.gpu_suite.gpu_goals import goal_lines
from ishowtts_bench.gpu_suite.gpu_steps import Plan, SuiteStep
from ishowtts_bench.gpu_suite.step_report import GOALS, RunningStep, StepReport

STARTED_S = time.time()
FIRST_S, WHOLE_S = 200.0, 470.0
"""Time limits of the two calls."""
_ENDING_S = forked_step.GRACE_S + 2.0  # for ending the last step and writing the files


class Stopped(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number


def main() -> int:
    """Returns the exit status: 1 if a step failed."""
    arguments = _parsed()
    plan = Plan(arguments.model, arguments.device, arguments.quick)
    try:
        report = StepReport(
            arguments.out, asdict(plan), lambda found: list(goal_lines(found, comparable=plan.comparable))
        )
    except OSError as error:
        print(f"cannot make {arguments.out} ({error.strerror}); name another folder with --out", file=sys.stderr)
        return 2
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    failed = []
    try:
        with tempfile.TemporaryDirectory(prefix="bench-gpu-", ignore_cleanup_errors=True) as scratch:
            failed = _run_all(arguments, plan, report, Path(scratch))
    except Stopped as stopped:
        report.say(f"ended by {signal.Signals(stopped.number).name}")
        report.write()
        return 128 + stopped.number
    report.say(f"{time.time() - arguments.since:.0f} s in all")
    report.write()
    if report.fault is None:
        print(f"\n{(arguments.out / GOALS).read_text(encoding='utf-8')}")
    else:
        print(report.fault, file=sys.stderr)
    if failed:
        print(f"these steps failed: {', '.join(failed)}; their output is in {arguments.out}", file=sys.stderr)
    return 1 if failed or report.fault is not None else 0


def _run_all(arguments: argparse.Namespace, plan: Plan, report: StepReport, scratch: Path) -> list[str]:
    """Run the steps of this call. Returns the names of those that failed."""
    deadline_s = arguments.since + arguments.within - _ENDING_S
    report.write()
    if arguments.wheels is not None:
        try:
            report.say(f"wheels: {add_wheels(arguments.wheels, scratch / 'site')}")
        except ValueError as error:
            report.say(f"wheels: {error}")
    try:
        faults = gpu_steps.preload(plan.device)
    except ImportError as error:  # without torch, each step says so
        faults = [str(error)]
    for fault in faults:
        report.say(f"imports: {fault}")
    report.say(f"imports: {time.time() - arguments.since:.1f} s since the start")
    samples = scratch / "samples"
    failed = ["imports"] if faults else []
    for step in _selected(arguments, plan, samples):
        if not _run(step, plan, report, scratch, deadline_s - time.time()):
            failed.append(step.name)
        if samples.is_dir():
            report.keep_samples(samples)
    return failed


def _run(step: SuiteStep, plan: Plan, report: StepReport, scratch: Path, left_s: float) -> bool:
    """Run a step. Returns whether it succeeded, or cannot run on this device."""
    if step.needs_gpu and plan.device == "cpu":
        report.skip(step.name, "it needs a GPU")
        return True
    if left_s < step.least_s:
        report.skip(step.name, f"it needs at least {step.least_s:.0f} s, and {max(0.0, left_s):.0f} s are left")
        return False
    figures, limit_s = scratch / f"{step.name}.json", min(step.limit_s, left_s)
    started = time.monotonic()

    def run_in_child() -> int:
        tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)  # what the step leaves there goes with it
        return step.run(figures)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy has threads, and ends them before a fork
        child = ForkedStep(run_in_child)
    status, ended = None, "interrupted"
    try:
        with child:
            report.start(RunningStep(step.name, lambda: child.output.text, figures))
            try:
                status = child.wait(limit_s, report.refresh)
            except Stopped:
                report.write()  # at once: who sent the signal may not wait until the step has ended
                raise
            ended = "killed" if status is None else "failed" if status else "ok"
    finally:
        why = f"its limit is {limit_s:.0f} s" if ended == "killed" else _last_line(child) if ended == "failed" else None
        if status is not None and status < 0:
            why = f"{signal.Signals(-status).name} ended it: {why}"
        report.end(ended, time.monotonic() - started, why)
    return status == 0


def _last_line(child: ForkedStep) -> str:
    return next((line.strip() for line in reversed(child.output.text.splitlines()) if line.strip()), "no output")


def _selected(arguments: argparse.Namespace, plan: Plan, samples: Path) -> Iterator[SuiteStep]:
    if arguments.only:
        every = {step.name: step for step in (*gpu_steps.first_steps(plan), *gpu_steps.all_steps(plan, samples))}
        yield from (every[name] for name in every if name in arguments.only)
    else:
        yield from gpu_steps.first_steps(plan) if arguments.first else gpu_steps.all_steps(plan, samples)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench-gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--first", action="store_true", help="only device, kernels, tests on the GPU, and speed once")
    parser.add_argument("--out", type=Path, default=Path("bench-gpu"), metavar="FOLDER", help="default: bench-gpu")
    parser.add_argument("--model", default="base", help="tiny, small or base (random weights), or a folder of weights")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument(
        "--within",
        type=_seconds,
        metavar="S",
        help=f"time limit of the whole call (default: {WHOLE_S:.0f}; with --first {FIRST_S:.0f})",
    )
    parser.add_argument(
        "--since",
        type=_seconds,
        default=STARTED_S,
        metavar="TIME",
        help="when that time began, as `date +%%s` prints it (default: now)",
    )
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="use the wheels of this folder, without an index")
    parser.add_argument(
        "--quick", action="store_true", help="one round of short texts, without torch.compile, starts and sweep"
    )
    parser.add_argument("--only", metavar="STEP,STEP,…", help="run only these steps")
    arguments = parser.parse_args()
    if arguments.within is None:
        arguments.within = FIRST_S if arguments.first else WHOLE_S
    if arguments.only:
        plan = Plan(arguments.model, arguments.device, arguments.quick)
        known = {step.name for step in (*gpu_steps.first_steps(plan), *gpu_steps.all_steps(plan, Path()))}
        arguments.only = [word.strip() for word in arguments.only.split(",") if word.strip()]
        unknown = sorted(set(arguments.only) - known)
        if unknown:
            parser.error(f"unknown step {unknown[0]}; the steps are {', '.join(sorted(known))}")
    return arguments


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds above 0")
    return seconds


def _stop(number: int, _: FrameType | None) -> None:
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


if __name__ == "__main__":
    forked_step.adopt_orphans()
    sys.exit(main())
