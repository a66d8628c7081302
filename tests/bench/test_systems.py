"""The systems run as they say: upstream in the thread of the caller, with PyTorch's defaults."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ishowtts.engines.f5.upstream import stand_ins
from ishowtts.f5_switches import Switches
from ishowtts_bench import systems, upstream_infer
from ishowtts_bench.bench_env import BenchEnv

pytestmark = pytest.mark.f5

NFE = 4
TEXT = "Short text."
Hook = Callable[..., None]


def upstream_with(hook: Hook, env: BenchEnv, monkeypatch: pytest.MonkeyPatch, *, compiled: bool) -> systems.System:
    """Upstream, or torch.compile without the compilation; `hook` is called after the first product of its blocks."""

    class Hooked(systems.UpstreamInfer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.cfm.transformer.transformer_blocks[0].attn.to_q.register_forward_hook(hook)

    monkeypatch.setattr(systems, "UpstreamInfer", Hooked)
    monkeypatch.setattr(systems, "compile_modules", lambda *_: None)
    monkeypatch.setattr(systems, "multiplies_bf16", lambda: True)
    return (systems.compiled if compiled else systems.upstream)(env, NFE)


@pytest.mark.parametrize(("compiled", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_upstream_runs_in_the_thread_of_the_caller_where_autocast_reaches_it(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch, compiled: bool, dtype: torch.dtype
) -> None:
    seen: list[tuple[int, torch.dtype]] = []

    def hook(_: object, __: object, out: torch.Tensor) -> None:
        seen.append((threading.get_ident(), out.dtype))

    upstream_with(hook, env, monkeypatch, compiled=compiled).synthesize(TEXT)
    assert set(seen) == {(threading.get_ident(), dtype)}
    assert len(seen) >= NFE


def test_an_error_of_upstream_reaches_the_caller(env: BenchEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the graph belongs to another thread")

    upstream = upstream_with(fail, env, monkeypatch, compiled=True)
    before = torch.backends.cudnn.allow_tf32
    with pytest.raises(AssertionError, match="belongs to another thread"):
        upstream.synthesize(TEXT)
    assert torch.backends.cudnn.allow_tf32 is before
    assert not torch.is_autocast_enabled("cpu")


def test_upstream_has_the_default_of_pytorch_for_tf32_and_ours_does_not(
    env: BenchEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as our engine leaves it on a GPU
    seen: list[bool] = []
    upstream = upstream_with(lambda *_: seen.append(torch.backends.cudnn.allow_tf32), env, monkeypatch, compiled=False)
    upstream.synthesize(TEXT)
    assert set(seen) == {True}
    assert not torch.backends.cudnn.allow_tf32


def test_several_chunks_are_joined_in_their_order(env: BenchEnv) -> None:
    """The same seed gives the same sound, because the chunks draw their noise one after another."""
    infer = systems.UpstreamInfer(env.folder, env.device)
    clip, chunks = env.reference_clip(), ["This is the first one.", "And the last."]
    sounds = [infer.synthesize(clip, chunks, nfe_step=NFE) for _ in range(2)]
    np.testing.assert_array_equal(*sounds)
    first = infer.synthesize(clip, chunks[:1], nfe_step=NFE)
    np.testing.assert_array_equal(sounds[0][: len(first) // 2], first[: len(first) // 2])


def test_another_speed_gives_another_length(env: BenchEnv) -> None:
    ours = systems.ours(env, NFE, Switches())
    lengths = [len(ours.at_speed(TEXT, speed)) for speed in (1.0, 0.8)]
    assert lengths == [len(ours.synthesize(TEXT)), pytest.approx(lengths[0] / 0.8, rel=0.05)]
    assert ours.kernels is not None
    assert systems.ours(env, NFE, Switches.off()).kernels is None


def test_stand_ins_are_only_for_packages_that_are_missing_and_are_gone_afterwards() -> None:
    path = list(sys.path)
    with stand_ins({"ishowtts_absent": (), "ishowtts_absent.part": ("name",), "sys": ("gone",)}):
        from ishowtts_absent.part import name

        assert name("anything") is None
        assert not hasattr(sys, "gone")
        sys.path.append("/nowhere")
    assert "ishowtts_absent" not in sys.modules
    assert sys.path == path


@pytest.mark.slow
def test_upstream_is_imported_without_librosa() -> None:
    code = (
        "import sys; from ishowtts_bench.upstream_infer import utils_infer; utils_infer(); "
        "print({'librosa', 'numba', 'transformers'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(upstream_infer.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
