"""Which packs are generated, and how the worker processes end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future
from contextlib import ExitStack

from support.waiting import eventually
from voice_training.dataset import generation
from voice_training.dataset.corpus import pack_path
from voice_training.recipe import SpeechRecipe

# Uses the pool of `generate`; its worker would sleep for longer than any test. Nobody listens: torch takes seconds.
OWNER = """
import os, sys, time
from types import SimpleNamespace

sys.modules["ishowtts_bench.metrics.asr"] = SimpleNamespace(Asr=None)
from voice_training.dataset import generation

if __name__ == "__main__":
    with generation._pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 300)
        time.sleep(300)
"""


class Inline(Executor):
    """Runs each call when it is submitted."""

    def submit(self, call, /, *arguments):
        future = Future()
        future.set_result(call(*arguments))
        return future


def test_existing_packs_are_kept_and_no_pack_starts_after_the_last_needed_one(tmp_path, monkeypatch):
    started, reported = [], []
    pack_path(tmp_path, 1).write_text("[]")
    monkeypatch.setattr(generation, "_pool", lambda _: Inline())
    monkeypatch.setattr(
        generation, "_generate_pack", lambda _recipe, _seed, _folder, number: started.append(number) or 10.0
    )
    recipe = SpeechRecipe(texts="closed", speakers=1, hours=25 / 3600)
    generation.generate(recipe, 1, tmp_path, 1, lambda number, spoken_s: reported.append((number, spoken_s)))
    assert started == [0, 2, 3]
    assert reported == [(0, 10.0), (2, 20.0), (3, 30.0)]


def test_workers_end_with_the_main_process(tmp_path):
    (tmp_path / "owner.py").write_text(OWNER)
    command = [sys.executable, tmp_path / "owner.py"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        # Both start at the same time, because a start takes seconds.
        owners = {
            number: stack.enter_context(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
            for number in (signal.SIGTERM, signal.SIGKILL)
        }
        workers = {number: int(owner.stdout.readline()) for number, owner in owners.items()}
        for number, owner in owners.items():
            owner.send_signal(number)
        for owner in owners.values():
            owner.wait(20)
        for number, worker in workers.items():
            eventually(lambda worker=worker: not alive(worker), f"the end of the worker after {number.name}")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
