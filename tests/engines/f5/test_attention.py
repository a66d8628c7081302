"""Attention by sequences is exact. A reference on the CPU takes the place of the operators that only CUDA has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from ishowtts.engines.f5 import attention
from ishowtts.engines.f5.attention import ATTENTIONS, TRITON_ATTENTIONS
from ishowtts.engines.f5.cuda_graphs import GraphRunner, RunShape
from ishowtts.engines.f5.dit import Condition, Dit
from ishowtts.engines.f5.lengths import Lengths
from ishowtts.engines.f5.schedule import Guidance

pytestmark = pytest.mark.f5

CPU = torch.device("cpu")
HEADS = 2


def attended(rows: tuple[Tensor, ...], ends: Tensor, keys: Tensor | None = None) -> Tensor:
    """Attention of queries, keys and values, [rows, heads, 64], in sequences.

    Args:
        ends: where each sequence starts, and the end.
        keys: the number of keys of each sequence; `None`: all of its rows.
    """
    assert ends.dtype is torch.int32
    q, k, v = rows
    out = torch.full_like(q, float("nan"))
    for i, (first, end) in enumerate(pairwise(ends.tolist())):
        seen = slice(first, end if keys is None else first + int(keys[i]))
        scores = torch.einsum("qhd,khd->hqk", q[first:end], k[seen]) / 8
        out[first:end] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v[seen])
    return out


@pytest.fixture
def sequences() -> Iterator[None]:
    """This CPU has the operators of CUDA that take sequences."""

    def flash(*given: Any, seqused_k: Tensor | None = None, **_: Any) -> tuple[Tensor, ...]:
        *rows, ends, ends_of_keys, max_q, max_k, dropout_p, is_causal, return_debug_mask = given
        assert ends is ends_of_keys
        assert (max_q, dropout_p, is_causal, return_debug_mask) == (max_k, 0.0, False, False)
        return attended(tuple(rows), ends, seqused_k), *[torch.empty(0)] * 4

    def cudnn(*given: Any, **_: Any) -> tuple[Any, ...]:
        *rows, attn_bias, ends, ends_of_keys, max_q, max_k, compute_log_sumexp = given[:9]
        assert ends is ends_of_keys
        assert (attn_bias, max_q, compute_log_sumexp) == (None, max_k, False)
        empty = torch.empty(0)
        return attended(tuple(rows), ends), *[empty] * 3, max_q, max_k, *[empty] * 3

    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("_flash_attention_forward", flash, "CPU")
        library.impl("_cudnn_attention_forward", cudnn, "CPU")
        yield


def batch(frames: tuple[int, ...], padding: float) -> tuple[Tensor, Tensor, Tensor, Lengths]:
    """Views of a buffer of qkv, as `rotate` returns them."""
    lengths = Lengths.of(frames, max(frames), CPU)
    qkv = torch.randn(len(frames), max(frames), 3, HEADS, 64, generator=torch.Generator().manual_seed(0))
    q, k, v = qkv.masked_fill(~lengths.keep[..., None, None, None], padding).permute(2, 0, 3, 1, 4).unbind()
    return q, k, v, lengths


@pytest.mark.parametrize("name", ["flash", "flash-sequences", "cudnn-sequences"])
@pytest.mark.parametrize("frames", [(9, 5), (1, 9, 8), (3,)], ids=str)
@pytest.mark.parametrize("padding", [1000.0, float("nan")])
def test_real_frames_see_exactly_the_real_ones(
    sequences: None, name: str, frames: tuple[int, ...], padding: float
) -> None:
    q, k, v, lengths = batch(frames, padding)
    exact = ATTENTIONS["explicit"](q, k, v, lengths)
    found = ATTENTIONS[name](q, k, v, lengths)
    assert found.shape == exact.shape
    assert torch.allclose(found[lengths.keep], exact[lengths.keep], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("flash", SDPBackend.FLASH_ATTENTION),
        ("flash-sequences", SDPBackend.FLASH_ATTENTION),
        ("cudnn-sequences", SDPBackend.CUDNN_ATTENTION),
        ("cudnn-mask", SDPBackend.CUDNN_ATTENTION),
    ],
)
def test_without_padding_the_operator_takes_no_sequences(
    monkeypatch: pytest.MonkeyPatch, name: str, backend: SDPBackend
) -> None:
    asked: list[SDPBackend] = []

    def chosen(wanted: SDPBackend) -> AbstractContextManager[None]:
        asked.append(wanted)
        return nullcontext()

    monkeypatch.setattr(attention, "sdpa_kernel", chosen)
    q, k, v, _ = batch((7, 7), 0.0)
    assert torch.allclose(ATTENTIONS[name](q, k, v, None), ATTENTIONS["explicit"](q, k, v, None), atol=1e-5)
    assert asked == [backend]


def test_the_first_items_have_the_first_sequences() -> None:
    lengths = Lengths.of((5, 8, 1), 8, CPU)
    assert lengths.sequences.dtype is torch.int32
    assert lengths.sequences.tolist() == [0, 5, 8, 16, 16, 17, 24]
    assert lengths.first(2).sequences.tolist() == Lengths.of((5, 8), 8, CPU).sequences.tolist()


def test_our_own_kernel_is_imported_when_it_is_called() -> None:
    pytest.importorskip("ishowtts.engines.f5.cuda.fused_attention")
    assert list(TRITON_ATTENTIONS) == ["triton-64x64", "triton-128x64", "triton-128x128"]
    q, k, v, lengths = batch((9, 5), 0.0)
    with pytest.raises(ValueError, match="half precision"):
        ATTENTIONS["triton-64x64"](q, k, v, lengths)


def conditions(frames: tuple[int, ...], padded: int) -> Condition:
    """The condition of lines of so many frames, for both branches."""
    padding = any(count < padded for count in frames)
    rows = torch.zeros(2 * len(frames), padded, 16)
    return Condition(rows, rows, torch.zeros(padded, 32, 2), Lengths.of(frames * 2, padded, CPU) if padding else None)


def test_static_buffers_have_the_sequences_of_their_own_run() -> None:
    model = cast("Dit", SimpleNamespace(bias=torch.zeros(16), dtype=torch.float32, blocks=()))
    runner = GraphRunner(model, most_rows=64, max_segments=2, cfg_strength=2.0, kinds=[Guidance.FULL], capturer=None)
    for frames, padded in (((40,), 64), ((20, 32), 32), ((32, 32), 32), ((64,), 64)):
        shape = runner.load(conditions(frames, padded), [torch.zeros(count, 100) for count in frames])
        assert shape == RunShape(len(frames), padded)
        lengths = runner._buffers[shape].condition.lengths
        assert lengths is not None
        assert lengths.sequences.tolist() == Lengths.of(frames * 2, padded, CPU).sequences.tolist()
        # A shape may be captured before it runs. The lengths of a longer run would let attention read beyond its
        # inputs then.
        other = runner._buffers_of(RunShape(1, 16)).condition.lengths
        assert other is not None
        assert other.counts.tolist() == [16, 16]
        assert other.sequences.tolist() == [0, 16, 16, 32, 32]
