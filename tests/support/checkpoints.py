"""Random checkpoints that all processes of a test run share: making one imports torch and f5-tts, which is slow."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Literal

import pytest


def shared_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, *, shape: Literal["v1", "silma", "hindi"] = "v1",
    average_upsampling: bool = False,
) -> Path:  # fmt: skip
    """Returns a folder with tiny random weights (seed 0), made by the first process that asks for it."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = run / f"checkpoint-tiny-{shape}{'-upsampling' if average_upsampling else ''}"
    with (run / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            from ishowtts_bench import random_checkpoint

            draft = folder.with_suffix(".draft")
            random_checkpoint.make_checkpoint(draft, "tiny", seed=0, shape=shape, average_upsampling=average_upsampling)
            draft.rename(folder)
    return folder
