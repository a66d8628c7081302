"""Runs the steps of a GPU on fake tensors: checks operators, types, devices and shapes, and that nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ishowtts.engines.f5 import cuda_graphs, dit, mel_spectrogram, sampler, text_encoder
from ishowtts.engines.f5.assembly import mel_columns
from ishowtts.engines.f5.attention import ATTENTIONS
from ishowtts.engines.f5.block_kernels import make_qkv, make_residual, make_up
from ishowtts.engines.f5.cuda import products
from ishowtts.engines.f5.cuda_graphs import RunShape
from ishowtts.engines.f5.elementwise import EagerElementwise
from ishowtts.engines.f5.kernels import PLAIN, KernelChoice, PlainConv
from ishowtts.engines.f5.schedule import Guidance
from ishowtts.engines.f5.text_encoder import TextBlock, TextEncoder
from ishowtts.engines.f5.vocoder import FastVocoder

pytestmark = pytest.mark.f5


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """A cached table must not be on the fake GPU."""
    tables = (dit._angles, text_encoder._positions_table, mel_spectrogram._window)
    for table in tables:
        table.cache_clear()
    yield
    for table in tables:
        table.cache_clear()


class NoHostCopies(TorchDispatchMode):
    """Refuses copies between the host and the fake GPU, for which the processor would wait.

    `FakeTensorMode` itself only refuses to tell values.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {
            leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim
        }
        made = {leaf.device.type for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)}
        if given and len(given | made) > 1:
            raise RuntimeError(f"{func.name()} copies between the host and the GPU")
        return out


WIDTH, HEADS, DEPTH = 128, 2, 2


def model(choice: KernelChoice, attention: str, dtype: torch.dtype) -> dit.Dit:
    """A model on the fake GPU."""

    def weight(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=kind, device="cuda")

    def product(outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
        return weight(outputs, inputs), weight(outputs)

    steps = EagerElementwise()
    block = dit.Block(
        qkv=make_qkv(choice.qkv, *product(3 * WIDTH, WIDTH), steps, heads=HEADS, rotated_heads=None),
        out=make_residual(choice.out, *product(WIDTH, WIDTH), steps),
        up=make_up(choice.up, *product(2 * WIDTH, WIDTH)),
        down=make_residual(choice.down, *product(WIDTH, 2 * WIDTH), steps),
    )
    conv = (PlainConv(weight(WIDTH, WIDTH // 16, 31)), weight(WIDTH))
    return dit.Dit(
        from_mel=weight(WIDTH, mel_columns(torch.device("cuda"), dtype)),
        from_voice=weight(WIDTH, 100, kind=torch.float32),
        from_text=weight(WIDTH, 64, kind=torch.float32), bias=weight(WIDTH, kind=torch.float32), convs=(conv, conv),
        blocks=(block,) * DEPTH, to_mel=(weight(100, WIDTH), weight(100)), attention=ATTENTIONS[attention],
        elementwise=steps, dtype=dtype,
    )  # fmt: skip


@pytest.fixture
def _shapes_of_cudnn() -> Iterator[None]:
    """torch has no rule for the shapes of cuDNN's attention, only its arguments."""

    def shapes(query: torch.Tensor, *given: Any, **_: Any) -> tuple[Any, ...]:
        empty = torch.empty(0, device="meta")
        return torch.empty_like(query), *[empty] * 3, given[5], given[6], *[empty] * 3

    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("_cudnn_attention_forward", shapes, "Meta")
        yield


MM = KernelChoice(qkv="mm", out="mm", up="mm", down="mm")
SPLIT = KernelChoice(qkv="split", up="cublasLt")


@pytest.mark.usefixtures("_shapes_of_cudnn")
@pytest.mark.parametrize(
    ("choice", "attention"),
    [
        # Not `efficient` and `cudnn-mask`: torch asks a real GPU whether it has them.
        (PLAIN, "flash"), (MM, "flash-sequences"), (PLAIN, "cudnn-sequences"), (SPLIT, "math"),
    ],
    ids=["plain", "mm", "cudnn", "split"],
)  # fmt: skip
def test_a_step_on_static_buffers_has_every_operator_that_it_uses(
    choice: KernelChoice, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "fused_rows", None)  # Triton launches nothing on fake tensors
    with FakeTensorMode(), torch.inference_mode():
        fake = model(choice, attention, torch.float16)
        assert fake.from_mel.shape == (WIDTH, 104)  # rows of 208 bytes, a multiple of 16
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
    with FakeTensorMode(), torch.no_grad():

        def weight(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, device="cuda")

        wide = weight(2 * WIDTH)
        block = TextBlock(
            conv=(weight(WIDTH, 1, 7), weight(WIDTH)), norm=(weight(WIDTH), weight(WIDTH)),
            up=(weight(2 * WIDTH, WIDTH), wide), down=(weight(WIDTH, 2 * WIDTH), weight(WIDTH)), gamma=wide, beta=wide,
        )  # fmt: skip
        encoder = TextEncoder(weight(50, WIDTH), (block,), upsamples, step=32)
        tokens = torch.zeros(20, dtype=torch.int64, device="cuda")
        text_encoder.encode(encoder, tokens, 131)  # fills the table of positions, once
        with NoHostCopies():
            rows = text_encoder.encode(encoder, tokens, 131)
        assert (tuple(rows.shape), rows.device.type) == ((2, 131 if upsamples else 32, WIDTH), "cuda")


BACKBONE, LAYERS = 64, 2


def vocoder(dtype: torch.dtype) -> FastVocoder:
    """A vocoder on the fake GPU."""
    shapes = {
        "embed.weight": (BACKBONE, 100, 7), "embed.bias": (BACKBONE,),
        **{f"{name}.{part}": (BACKBONE,) for name in ("norm", "final_layer_norm") for part in ("weight", "bias")},
    }  # fmt: skip
    for i in range(LAYERS):
        shapes |= {
            f"convnext.{i}.{name}": shape
            for name, shape in {
                "dwconv.weight": (BACKBONE, 1, 7), "dwconv.bias": (BACKBONE,), "gamma": (BACKBONE,),
                "norm.weight": (BACKBONE,), "norm.bias": (BACKBONE,),
                "pwconv1.weight": (3 * BACKBONE, BACKBONE), "pwconv1.bias": (3 * BACKBONE,),
                "pwconv2.weight": (BACKBONE, 3 * BACKBONE), "pwconv2.bias": (BACKBONE,),
            }.items()
        }  # fmt: skip
    tensors = {f"backbone.{name}": torch.zeros(shape, device="cuda") for name, shape in shapes.items()}
    tensors |= {f"head.out.{name}": torch.zeros(shape, device="cuda") for name, shape in
                {"weight": (1026, BACKBONE), "bias": (1026,)}.items()}  # fmt: skip
    description: Any = SimpleNamespace(backbone=SimpleNamespace(init_args=SimpleNamespace(num_layers=LAYERS)))
    return FastVocoder(description, tensors, torch.device("cuda"), dtype, step=32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("frames", [(64,), (33,), (61, 33)])
def test_spectrograms_are_decoded_without_a_wait_for_the_device(dtype: torch.dtype, frames: tuple[int, ...]) -> None:
    with FakeTensorMode(), torch.no_grad():
        ours = vocoder(dtype)
        mel = torch.zeros(len(frames), max(frames), 100, device="cuda")
        with NoHostCopies():
            sounds = ours.decode(mel, frames)
    assert [tuple(sound.shape) for sound in sounds] == [((count - 1) * 256,) for count in frames]
    assert {(sound.dtype, sound.device.type) for sound in sounds} == {(torch.float32, "cuda")}


def numbers() -> torch.Tensor:
    """What a comparison with these numbers as a tensor does first."""
    return torch.tensor([1, 2], device="cuda")


def inverse() -> torch.Tensor:
    """The inverse transform of torch."""
    return torch.istft(
        torch.zeros(513, 4, dtype=torch.complex64, device="cuda"),
        1024,
        256,
        window=torch.hann_window(1024, device="cuda"),
    )


@pytest.mark.parametrize("waiting", [numbers, inverse])
def test_a_wait_for_the_device_is_noticed(waiting: Callable[[], torch.Tensor]) -> None:
    # In inference mode, operators that consist of others would not show what they do inside.
    refused = pytest.raises((RuntimeError, DataDependentOutputException))
    with FakeTensorMode(), torch.no_grad(), NoHostCopies(), refused:
        waiting()
