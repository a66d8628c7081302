"""The checks that each attention must pass before it is timed. Kernels of this CPU take the place of a GPU's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5.attention import ATTENTIONS, Attention
from ishowtts.engines.f5.cuda import attention_candidates, kernel_timing
from ishowtts.engines.f5.cuda.attention_candidates import attention_group
from ishowtts.engines.f5.cuda.kernel_timing import CandidateGroup
from ishowtts.engines.f5.lengths import Lengths

pytestmark = pytest.mark.f5

FRAMES = (64, 40)


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    for name in ("flash", "flash-sequences", "cudnn-sequences", "cudnn-mask", "efficient"):
        monkeypatch.setitem(ATTENTIONS, name, ATTENTIONS["explicit"])


def group(*, fused: bool = False) -> CandidateGroup:
    generator = torch.Generator().manual_seed(0)
    return attention_group(lambda *shape: torch.randn(*shape, generator=generator), 2, FRAMES, fused=fused)


@pytest.fixture(autouse=True)
def _calls_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a call may take longer than a GPU's may."""
    monkeypatch.setattr(attention_candidates, "time", SimpleNamespace(perf_counter=lambda: 0.0))


def correct(candidates: CandidateGroup) -> set[str]:
    """The names of the kernels that would be timed."""
    found = {name: kernel_timing.result(name, run) for name, run in candidates.runs.items()}
    return {
        name
        for name, out in found.items()
        if out is not None and kernel_timing.relative_error(out, candidates.exact) < 1e-4
    }


def test_correct_kernels_are_timed_without_a_copy() -> None:
    candidates = group()
    assert correct(candidates) == {"flash", "flash-sequences", "cudnn-sequences", "cudnn-mask", "efficient"}
    assert candidates.flop == 4 * 64 * 2 * (64**2 + 40**2)
    assert candidates.runs["flash"]()._base is not None


def test_our_own_kernel_is_a_candidate_if_triton_works() -> None:
    assert set(group(fused=True).runs) - set(group().runs) == {"triton-64x64", "triton-128x64", "triton-128x128"}


def all_keys(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    return ATTENTIONS["explicit"](q, k, v, None)


def counting(change: Callable[[int, int], int]) -> Attention:
    """Attention to another number of keys, given the number of keys and the length of the padded batch."""

    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
        if lengths is not None and lengths.frames is not None:
            lengths = replace(lengths, frames=tuple(change(n, q.shape[2]) for n in lengths.frames))
        return ATTENTIONS["explicit"](q, k, v, lengths)

    return attend


def wrong_without_padding(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    return ATTENTIONS["explicit"](q, k, v, lengths or Lengths.of((q.shape[2] - 9,) * len(q), q.shape[2], q.device))


def contiguous_rows(q: Tensor, k: Tensor, v: Tensor, lengths: Lengths | None) -> Tensor:
    """Takes views of a buffer of qkv for contiguous tensors, as cuDNN's attention by sequences once did in PyTorch."""
    _, heads, frames, width = q.shape
    strides = (heads * frames * width, width, heads * width, 1)
    return ATTENTIONS["explicit"](*(part.as_strided(q.shape, strides) for part in (q, k, v)), lengths)


@pytest.mark.parametrize(
    ("wrong", "when"),
    [
        (all_keys, "for odd lengths"),
        (counting(lambda n, padded: min(n + 1, padded)), "for odd lengths"),
        (counting(lambda n, _: max(n - 1, 1)), "for odd lengths"),
        (wrong_without_padding, "without padding"),
        (contiguous_rows, "for odd lengths"),
    ],
    ids=["all keys", "a key more", "a key less", "without padding", "contiguous"],
)
def test_a_wrong_kernel_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: Attention, when: str
) -> None:
    monkeypatch.setitem(ATTENTIONS, "flash", wrong)
    assert "flash" not in correct(group())
    assert f"the kernel flash (attention) computes wrong on this GPU {when}" in caplog.text


def test_a_key_too_many_is_far_off_in_the_timed_batch_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by one of the real keys, which bf16 would excuse."""
    monkeypatch.setitem(ATTENTIONS, "flash", counting(lambda n, padded: n + (padded == max(FRAMES) and n < padded)))
    candidates = group()
    assert kernel_timing.relative_error(candidates.runs["flash"](), candidates.exact) > 1


def test_a_gpu_that_refuses_flash_attention_has_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch 2.8 on a Thor."""

    def refused(*_: object) -> Tensor:
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")

    for name in ("flash", "flash-sequences"):
        monkeypatch.setitem(ATTENTIONS, name, refused)
    assert correct(group()) == {"cudnn-sequences", "cudnn-mask", "efficient"}


def test_a_plan_that_is_built_in_each_call_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = count(0, 0.042)
    monkeypatch.setattr(attention_candidates, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    caplog.set_level("INFO")
    assert correct(group()) == {"flash", "flash-sequences", "cudnn-mask", "efficient"}
    assert "each call takes 42 ms of the processor" in caplog.text
