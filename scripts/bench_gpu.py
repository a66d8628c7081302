"""Runs every GPU benchmark of `ishowtts bench` in one call of less than ten minutes.

Each step has a time limit. If a step fails or takes too long, the script reports it and starts the next one. The output
of a step goes to FOLDER/STEP.txt, its figures to FOLDER/STEP.json. A table of the goals comes last.

Any Python with torch, f5-tts and vocos works: PYTHON=python3 scripts/bench-gpu. The exit status is 1 if a step failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE_S = 570.0
"""Time limit of all steps together."""
LEAST_S = 10.0  # with less time left, no step starts
KILL_S = 10.0
DEFAULT_VOICE_S = "5.3"
"""Length of the reference clip of every benchmark."""

ISHOWTTS = (
    sys.executable, str(Path(__file__).resolve().parent.parent / "daemon/ishowtts/util/child_process.py"), "ishowtts"
)  # fmt: skip
"""Not `python -m`, which looks for modules in the current folder first."""
Figures = dict[str, Any]
"""The JSON of each step, by its name."""


@dataclass(frozen=True)
class Step:
    """One program to run.

    Args:
        printed: suffix of the file for its output.
        figures: the option that names the file for its JSON; `None` if it has no such option.
        judged: whether an exit status other than 0 is a failure.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float
    printed: str = "txt"
    figures: str | None = None
    judged: bool = True


@dataclass(frozen=True)
class Goal:
    """A figure and the value it should reach; `read` raises KeyError or TypeError if the figure is missing."""

    name: str
    wanted: str
    read: Callable[[Figures], float]
    reached: Callable[[float], bool]
    form: str = "{:.2f}"
    note: Callable[[Figures], str] = lambda _: ""


def steps(model: str, device: str, *, quick: bool) -> Iterator[Step]:
    """Yields the steps, the most important ones first, because the time may run out."""

    def bench(name: str, *options: str, limit_s: float, over: str = model, what: str | None = None) -> Step:
        words = (*ISHOWTTS, "bench", what or name, "--model", over, "--device", device)
        return Step(name, (*words, *options), limit_s, figures="--figures")

    rounds = ("--rounds", "1" if quick else "3")
    length = "1" if quick else "8"
    nvidia_smi = shutil.which("nvidia-smi")
    if nvidia_smi:
        query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit"
        yield Step("device", (nvidia_smi, query, "--format=csv"), 20)
    yield bench("parity-tiny", limit_s=150, over="tiny", what="parity")
    default = () if device == "cpu" else ("--default",)
    yield bench("speed", "--lengths", length, *rounds, *default, limit_s=150)
    yield bench("profile", "--length", length, limit_s=70)
    yield bench("batches", *rounds, limit_s=90)
    predict: tuple[str, ...] = (*ISHOWTTS, "bench", "predict", "--reference", DEFAULT_VOICE_S)
    if device == "cuda" and model == "base":  # the predictions are for this model on a GPU
        predict += ("--kernels", "{folder}/profile.json")
    yield Step("predict", predict, 60)
    yield Step("predict-figures", (*predict, "--json"), 60, printed="json")
    # The doctor reports what the GPU reaches. It may fail, because this machine need not be an appliance.
    yield Step("doctor", (*ISHOWTTS, "doctor"), 60, judged=False)
    if not quick:
        yield bench("compiled", "--lengths", length, *rounds, "--compiled", limit_s=170, what="speed")
    yield bench("ablate", "--length", "1" if quick else "3", *rounds, limit_s=150)
    if not quick:
        yield bench("starts", "--lengths", "2", "--rounds", "1", "--starts", limit_s=170, what="speed")
        yield bench("parity", limit_s=100)
    yield bench("vocoder", *rounds, limit_s=70)
    if not quick:
        yield bench("sweep", "--sentences", "0", limit_s=100)
        yield bench("vocoder-compiled", *rounds, "--compile", limit_s=120, what="vocoder")


def main() -> int:
    """Returns the exit status: 1 if a step failed."""
    parser = argparse.ArgumentParser(prog="scripts/bench-gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("bench-gpu"), metavar="FOLDER", help="default: bench-gpu")
    parser.add_argument("--model", default="base", help="tiny, small or base (random weights), or a folder of weights")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument(
        "--quick", action="store_true", help="one round of short lines, without torch.compile, starts and sweep"
    )
    parser.add_argument("--only", metavar="STEP,STEP,…", help="run only these steps")
    arguments = parser.parse_args()
    selected = list(steps(arguments.model, arguments.device, quick=arguments.quick))
    if arguments.only:
        wanted = arguments.only.split(",")
        unknown = sorted(set(wanted) - {step.name for step in selected})
        if unknown:
            parser.error(f"unknown step {unknown[0]}; the steps are {', '.join(step.name for step in selected)}")
        selected = [step for step in selected if step.name in wanted]
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"cannot make {arguments.out} ({error.strerror}); name another folder with --out")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no step outlives this process
    ended = time.monotonic() + WHOLE_S
    failed = [step.name for step in selected if not run(step, arguments.out, ended - time.monotonic())]
    figures = read(arguments.out, [step.name for step in selected])
    comparable = arguments.device == "cuda" and arguments.model == "base" and not arguments.quick
    table = "\n".join(goals(figures, comparable=comparable))
    print(f"\n{table}")
    (arguments.out / "goals.txt").write_text(table + "\n", encoding="utf-8")
    if failed:
        print(f"\nthese steps failed: {', '.join(failed)}; their output is in {arguments.out}", file=sys.stderr)
    return 1 if failed else 0


def run(step: Step, folder: Path, left_s: float) -> bool:
    """Runs a step and prints how it ended, with its last line if it failed. Returns whether it succeeded."""
    if left_s < LEAST_S:
        print(f"{step.name}: not started, because no time is left", flush=True)
        return False
    output, figures = folder / f"{step.name}.{step.printed}", folder / f"{step.name}.json"
    figures.unlink(missing_ok=True)  # from an earlier call
    command = [word.replace("{folder}", str(folder)) for word in step.command]
    command += [step.figures, str(figures)] if step.figures else []
    started = time.monotonic()
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        try:
            status: int | None = process.wait(min(step.limit_s, left_s))
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
    spent_s = time.monotonic() - started
    printed = output.read_text(encoding="utf-8", errors="replace")
    if status is None:
        print(f"{step.name}: killed after {spent_s:.0f} s, its time limit", flush=True)
    elif status != 0 and step.judged:
        last = next((line for line in reversed(printed.splitlines()) if line.strip()), "no output")
        print(f"{step.name}: failed after {spent_s:.0f} s: {last.strip()}", flush=True)
    else:
        print(f"{step.name}: {spent_s:.0f} s", flush=True)
    return status == 0 or (status is not None and not step.judged)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the step and every process that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(KILL_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def read(folder: Path, names: Iterable[str]) -> Figures:
    """Reads the figures that the steps of this call measured."""
    found: Figures = {}
    for name in names:
        path = folder / f"{name}.json"
        with suppress(OSError, ValueError):  # the step failed and was reported
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _batch(figures: Figures, segments: int) -> dict[str, Any]:
    return next(one for one in figures["batches"]["batches"] if one["segments"] == segments)


def _best_share(figures: Figures) -> dict[str, Any]:
    """Returns the smallest batch that reaches half of the product rate, or else the best one."""
    found = figures["batches"]["batches"]
    enough = [one for one in found if one["share"] >= 0.5]
    return enough[0] if enough else max(found, key=lambda one: one["share"])


def _warm_s(figures: Figures) -> float:
    return max(one["warm_s"] for one in figures["starts"]["starts"] if one["system"] == "ours" and one["compiled"])


def _parity(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(sum(not row["passed"] for row in figures[name]["rows"]))


GOALS = (
    Goal("failed rows of parity, tiny", "0", _parity("parity-tiny"), lambda found: found == 0, "{:.0f}"),
    Goal("failed rows of parity, base", "0", _parity("parity"), lambda found: found == 0, "{:.0f}"),
    Goal("upstream at equal NFE over ours", "2 or more", lambda all_: all_["speed"]["ratio_equal_nfe"],
         lambda found: found >= 2),
    Goal("torch.compile of upstream over ours", "1.5 or more", lambda all_: all_["compiled"]["ratio_compiled"],
         lambda found: found >= 1.5),
    Goal("upstream at its default over ours", "12 or more", lambda all_: all_["speed"]["ratio_default"],
         lambda found: found >= 12),
    Goal("share of the product rate", "0.5 or more", lambda all_: _best_share(all_)["share"],
         lambda found: found >= 0.5, note=lambda all_: f"with {_best_share(all_)['segments']} in a run"),
    Goal("8 segments in a run over single ones", "3 or more", lambda all_: _batch(all_, 8)["ratio"],
         lambda found: found >= 3),
    Goal("loaded and warm, compiled before", "under 20 s", _warm_s, lambda found: found < 20, "{:.1f} s"),
    Goal("the allocator's peak", "under 1000 MB", lambda all_: all_["speed"]["peak_mb"],
         lambda found: found < 1000, "{:.0f} MB"),
    Goal("RTF of 8 s", "", lambda all_: all_["speed"]["rtf"], lambda _: True, "{:.4f}"),
)  # fmt: skip


def goals(figures: Figures, *, comparable: bool) -> Iterator[str]:
    """Yields a line for each goal. Only the base model on a GPU can reach one."""
    if not comparable:
        yield "the goals hold for the base model on a GPU, without --quick: the figures below are not judged"
    for goal in GOALS:
        try:
            found = goal.read(figures)
            shown, note = goal.form.format(found), goal.note(figures)
            verdict = ("reached" if goal.reached(found) else "not reached") if comparable and goal.wanted else ""
        except (KeyError, StopIteration, TypeError, ValueError):
            shown, note, verdict = "", "", "not measured"
        yield f"{goal.name:38} {goal.wanted:14} {shown:>10} {note:15} {verdict}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
