"""The Triton attention equals explicit attention in fp32, whatever stands in padding frames."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.lengths import Lengths

pytest.importorskip("triton")

from ishowtts.engines.f5.cuda.fused_attention import attend
from ishowtts.engines.f5.cuda.tiles import ATTENTION_TILES

pytestmark = pytest.mark.f5

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TOLERANCES = {torch.float16: 1e-3, torch.bfloat16: 8e-3}
FRAMES = [(1,), (64, 1), (129, 70)] + ([] if INTERPRETED else [(1220, 1, 1219, 640)])

TILES = {tile.name: tile for tile in ATTENTION_TILES}


@pytest.fixture(autouse=True)
def _loops_end_at_loaded_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter makes an index of an array of one element, which NumPy 2.4 refuses."""
    if INTERPRETED:
        from triton.runtime import interpreter

        patch = interpreter._patch_lang_tensor

        def patched(tensor: type, scope: interpreter._LangPatchScope) -> None:
            patch(tensor, scope)
            scope.set_attr(tensor, "__index__", lambda self: self.handle.data.item())

        monkeypatch.setattr(interpreter, "_patch_lang_tensor", patched)


def batch(frames: tuple[int, ...], dtype: torch.dtype, device: torch.device, padding: float) -> tuple[Tensor, Lengths]:
    """A buffer of qkv, [3, batch, heads, frames, 64] as a view of [batch, frames, 3, heads, 64], and its lengths."""
    lengths = Lengths.of(frames, max(frames), device)
    qkv = torch.randn(*lengths.keep.shape, 3, 2, 64).to(device, dtype)
    return qkv.masked_fill(~lengths.keep[..., None, None, None], padding).permute(2, 0, 3, 1, 4), lengths


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("frames", FRAMES, ids=str)
@pytest.mark.parametrize("tile", TILES)
def test_real_frames_see_exactly_the_real_ones(
    device: torch.device, dtype: torch.dtype, frames: tuple[int, ...], tile: str
) -> None:
    if INTERPRETED and dtype is torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies the bits of bf16 as if they were integers")
    qkv, lengths = batch(frames, dtype, device, float("nan"))
    found = attend(*qkv.unbind(), lengths, TILES[tile])
    exact = ATTENTIONS["explicit"](*qkv.float().unbind(), lengths)
    assert found.dtype is dtype
    assert error(found[lengths.keep], exact[lengths.keep]) < TOLERANCES[dtype]
    assert found.isfinite().all()  # padding too: steps after this one may add it up


@pytest.mark.parametrize("frames", [(3,), (67, 67)], ids=str)
def test_without_padding_every_frame_is_real(device: torch.device, frames: tuple[int, ...]) -> None:
    qkv, _ = batch(frames, torch.float16, device, 1.0)
    found = attend(*qkv.unbind(), None, TILES["64x64"])
    assert error(found, ATTENTIONS["explicit"](*qkv.float().unbind(), None)) < TOLERANCES[torch.float16]


def test_large_scores_do_not_overflow(device: torch.device) -> None:
    """The softmax of scores of up to 1e5 is nearly a choice of one key."""
    qkv, lengths = batch((70, 33), torch.float16, device, 6e4)
    qkv[:2] *= 60
    found = attend(*qkv.unbind(), lengths, TILES["64x64"])
    exact = ATTENTIONS["explicit"](*qkv.float().unbind(), lengths)
    assert error(found[lengths.keep], exact[lengths.keep]) < TOLERANCES[torch.float16]


def test_a_nan_stays_in_its_own_item(device: torch.device) -> None:
    qkv, lengths = batch((70, 33), torch.float16, device, 0.0)
    qkv[2, 0, 0, 69] = float("nan")
    found = attend(*qkv.unbind(), lengths, TILES["64x64"])
    assert found[0, :70, :64].isnan().all()
    assert found[0, :70, 64:].isfinite().all()
    assert found[1].isfinite().all()


def test_inputs_that_the_kernel_would_misread_are_refused(device: torch.device) -> None:
    q = torch.zeros(1, 2, 5, 64, dtype=torch.float16, device=device)
    tile = TILES["64x64"]
    for wrong in (q[..., :32], q.transpose(2, 3).contiguous().transpose(2, 3)):
        with pytest.raises(ValueError, match="contiguous heads of 64"):
            attend(wrong, wrong, wrong, None, tile)
    with pytest.raises(ValueError, match="half precision"):
        attend(*[q.float()] * 3, None, tile)


@pytest.mark.skipif(INTERPRETED, reason="needs a GPU")
def test_a_graph_follows_the_counts_on_the_device(device: torch.device) -> None:
    qkv, lengths = batch((200, 70), torch.float16, device, 100.0)
    launch = TILES["128x64"]
    attend(*qkv.unbind(), lengths, launch)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = attend(*qkv.unbind(), lengths, launch)
    for frames in ((200, 70), (9, 64)):
        shorter = Lengths.of(frames, qkv.shape[3], device)
        lengths.copy_(shorter)
        graph.replay()
        exact = ATTENTIONS["explicit"](*qkv.float().unbind(), shorter)
        assert error(out[shorter.keep], exact[shorter.keep]) < TOLERANCES[torch.float16]
