"""Runs the steps of a GPU on fake tensors: checks operators, types, devices and shapes, and that nothing waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ishowtts.engines.f5 import cuda_graphs, dit, sampler, text_encoder
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.block_steps import Linear, SeparateQkv, SeparateResidual, SeparateUp
from ishowtts.engines.f5.cuda_graphs import RunShape
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import LINEARS, PlainConv
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.engines.f5.text_encoder import TextBlock, TextEncoder

pytestmark = pytest.mark.f5


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """A cached table must not be on the fake GPU."""
    for table in (dit._angles, text_encoder._positions_table):
        table.cache_clear()
    yield
    for table in (dit._angles, text_encoder._positions_table):
        table.cache_clear()


WIDTH, HEADS, DEPTH = 128, 2, 2


def model(linear: str, attention: str, dtype: torch.dtype) -> dit.Dit:
    """A model on the fake GPU."""

    def weight(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=kind, device="cuda")

    def product(outputs: int, inputs: int, gelu: bool = False) -> Linear:
        return LINEARS[linear](weight(outputs, inputs), weight(outputs), gelu)

    steps = EagerElementwise()
    block = dit.Block(
        qkv=SeparateQkv(product(3 * WIDTH, WIDTH), steps, HEADS),
        out=SeparateResidual(product(WIDTH, WIDTH), steps),
        up=SeparateUp(product(2 * WIDTH, WIDTH, gelu=True)),
        down=SeparateResidual(product(WIDTH, 2 * WIDTH), steps),
    )
    conv = (PlainConv(weight(WIDTH, WIDTH // 16, 31)), weight(WIDTH))
    return dit.Dit(
        from_mel=weight(WIDTH, 100), from_voice=weight(WIDTH, 100, kind=torch.float32),
        from_text=weight(WIDTH, 64, kind=torch.float32), bias=weight(WIDTH, kind=torch.float32), convs=(conv, conv),
        blocks=(block,) * DEPTH, to_mel=(weight(100, WIDTH), weight(100)), attention=ATTENTIONS[attention],
        elementwise=steps, dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize("linear", ["plain", "cublasLt"])
@pytest.mark.parametrize("attention", ["flash", "math"])  # torch has the efficient one only with CUDA
def test_a_step_on_static_buffers_has_every_operator_that_it_uses(linear: str, attention: str) -> None:
    with FakeTensorMode(), torch.inference_mode():
        fake = model(linear, attention, torch.float16)
        graphs = cuda_graphs.GraphRunner(
            fake, most_rows=512, max_segments=2, cfg_strength=2.0, kinds=[Guidance.FULL], capturer=None
        )
        for lines in (1, 2):
            buffers = graphs._buffers_of(RunShape(lines, 64))
            flow = dit.velocity(fake, buffers.y, buffers.condition, buffers.at)
            assert (flow.shape, flow.dtype, flow.device.type) == ((2 * lines, 64, 100), torch.float16, "cuda")
            for guidance in Guidance:
                # Reading a value on the host raises here, as it would in a capture.
                sampler.step(fake, buffers, guidance, 2.0)


@pytest.mark.parametrize("upsamples", [False, True])
def test_text_is_encoded_without_a_wait_for_the_device(upsamples: bool) -> None:
    with FakeTensorMode(), torch.inference_mode():

        def weight(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, device="cuda")

        wide = weight(2 * WIDTH)
        block = TextBlock(
            conv=(weight(WIDTH, 1, 7), weight(WIDTH)), norm=(weight(WIDTH), weight(WIDTH)),
            up=(weight(2 * WIDTH, WIDTH), wide), down=(weight(WIDTH, 2 * WIDTH), weight(WIDTH)), gamma=wide, beta=wide,
        )  # fmt: skip
        encoder = TextEncoder(weight(50, WIDTH), (block,), upsamples)
        rows = text_encoder.encode(encoder, torch.zeros(20, dtype=torch.int64, device="cuda"), 131)
        assert (tuple(rows.shape), rows.device.type) == ((2, 131 if upsamples else 20, WIDTH), "cuda")
