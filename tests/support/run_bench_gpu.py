"""`scripts/bench-gpu` with stand-ins for its steps: run_bench_gpu.py STEP,STEP,… OPTIONS."""

from __future__ import annotations

import os
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ishowtts_bench.gpu_suite import gpu_steps
from ishowtts_bench.gpu_suite.gpu_steps import SuiteStep
from ishowtts_bench.json_files import write_atomically

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_gpu.py"
LIMITS_S = {"hangs": 1.0, "deaf": 1.0, "talks_for_ever": 1.0}


def good(figures: Path) -> int:
    print("these are the words of a good step")
    write_atomically(figures, {"rtf": 0.5, "fraction_of_floor": 0.5})
    return 0


def raises(_: Path) -> int:
    raise RuntimeError("this step is broken")


def crashes(_: Path) -> int:
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def hangs(figures: Path) -> int:
    write_atomically(figures, {"half": True})
    print("I hang", flush=True)
    time.sleep(600)
    return 0


def deaf(_: Path) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("I do not listen", flush=True)
    time.sleep(600)
    return 0


def talks(_: Path) -> int:
    print("the beginning")
    for _ in range(32):
        os.write(1, b"0123456789abcdef" * 65536)
    print("the end", flush=True)
    return 0


def talks_for_ever(_: Path) -> int:
    while True:
        os.write(1, b"x" * 65536)


def leaves(_: Path) -> int:
    """Leave a child in the group, one that left the group, and the child of one that has ended."""
    subprocess.Popen(["sleep", "601.5"])
    subprocess.Popen(["sleep", "602.5"], start_new_session=True)
    subprocess.Popen(["sh", "-c", "setsid sleep 603.5 & exit"], start_new_session=True).wait()
    return 0


def writes_large_figures(figures: Path) -> int:
    figures.write_text("[" + "1," * 1_000_000 + "1]")
    return 0


def writes_nan(figures: Path) -> int:
    write_atomically(figures, {"rtf": float("nan")})
    return 0


def makes_samples(_: Path) -> int:
    assert gpu_steps.samples is not None  # type: ignore[attr-defined]
    folder = Path(gpu_steps.samples)  # type: ignore[attr-defined]
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.wav").write_bytes(bytes(1 << 20))
    return 0


KINDS: dict[str, Callable[[Path], int]] = {
    each.__name__: each
    for each in (good, raises, crashes, hangs, deaf, talks, talks_for_ever, leaves, writes_large_figures, writes_nan,
                 makes_samples)
}  # fmt: skip


def main() -> None:
    """Run the script with the steps of the first argument. A step NAME=KIND has another name."""
    pairs = [word.partition("=") for word in sys.argv.pop(1).split(",")]
    made = [
        SuiteStep(name, KINDS[kind or name], LIMITS_S.get(kind or name, 30.0), least_s=0.2) for name, _, kind in pairs
    ]
    made += [SuiteStep("for-a-gpu", good, 30.0, needs_gpu=True)]

    def all_steps(_: gpu_steps.Plan, samples: Path) -> list[SuiteStep]:
        gpu_steps.samples = samples  # type: ignore[attr-defined]
        return made

    gpu_steps.all_steps = all_steps  # type: ignore[assignment]
    gpu_steps.preload = lambda _: []
    if largest := os.environ.get("BENCH_GPU_LARGEST_FILE"):  # as a full disk: a write ends with an error
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), resource.RLIM_INFINITY))
    sys.argv[0] = str(SCRIPT)
    runpy.run_path(str(SCRIPT), run_name="__main__")


if __name__ == "__main__":
    main()
