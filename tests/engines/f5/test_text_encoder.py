"""The closed form equals the encoder over every frame, and both equal upstream's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ishowtts.engines.f5 import text_encoder
from ishowtts.engines.f5.architecture import read_model
from ishowtts.engines.f5.assembly import assemble_text_encoder
from ishowtts.engines.f5.captured_function import CapturedFunction
from ishowtts_bench.upstream_infer import UpstreamInfer
from support.fake_cuda_graph import TapeRecorder

pytestmark = [pytest.mark.f5, pytest.mark.slow]


@pytest.fixture(scope="session", params=["checkpoint", "upsampling_checkpoint"])
def pair(request: pytest.FixtureRequest) -> tuple[text_encoder.TextEncoder, Callable[..., Any]]:
    """Our encoder and upstream's `TextEmbedding` with the same weights."""
    folder = request.getfixturevalue(request.param)
    transformer = UpstreamInfer(folder, "cpu").cfm.transformer
    description = read_model(folder / "model.yaml").arch
    return assemble_text_encoder(transformer.state_dict(), description, torch.device("cpu")), transformer.text_embed


@pytest.mark.parametrize(
    ("count", "frames"),
    [
        (150, 1219),
        (150, 1200),
        (60, 411),
        (64, 64),
        (63, 64),
        (62, 64),
        (61, 64),
        (33, 64),
        (32, 64),
        (1, 4),
        (638, 640),
    ],
)
@pytest.mark.parametrize("drop", [False, True])
def test_every_form_equals_upstreams(
    pair: tuple[text_encoder.TextEncoder, Callable[..., Any]], count: int, frames: int, drop: bool
) -> None:
    ours, upstreams = pair
    rows = frames if ours.upsamples else count
    tokens = torch.randint(0, 2500, (count,), generator=torch.Generator().manual_seed(count))
    with torch.inference_mode():
        expected = upstreams(tokens[None], seq_len=frames, drop_text=drop)[0]
        closed = text_encoder.encode(ours, tokens, frames)[int(drop)]
        full = text_encoder.encode_in_full(ours, tokens, frames)[int(drop)]
    assert closed.shape == (rows, 64)
    assert not expected[rows:].any()
    largest = expected.abs().max()
    assert (closed - expected[:rows]).abs().max() <= 1e-5 * largest
    assert not full[rows:].any()
    assert (full[:rows] - expected[:rows]).abs().max() <= 1e-5 * largest


@pytest.mark.parametrize("drop", [False, True])
def test_every_row_is_repeated_equally_and_the_last_ones_once_more(upsampling_checkpoint: Path, drop: bool) -> None:
    """Independent of upstream: counts the rows of each token."""
    tensors = load_file(upsampling_checkpoint / "model.safetensors")
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    description = read_model(upsampling_checkpoint / "model.yaml").arch
    encoder = assemble_text_encoder(tensors, description, torch.device("cpu"))
    with torch.inference_mode():
        rows = text_encoder.encode(encoder, torch.arange(5), 23)[int(drop)]
    _, counts = torch.unique_consecutive(rows, dim=0, return_counts=True)
    assert counts.tolist() == [4, 4, 5, 5, 5]


def test_a_wrong_length_is_noticed(pair: tuple[text_encoder.TextEncoder, Callable[..., Any]]) -> None:
    ours, _ = pair
    tokens = torch.arange(50)
    with torch.inference_mode():
        right, wrong = (text_encoder.encode(ours, tokens, frames)[0, :400] for frames in (400, 464))
    assert (right - wrong).abs().max() > 1e-4 * right.abs().max()


@pytest.fixture(scope="session", params=["checkpoint", "upsampling_checkpoint", "hindi_checkpoint"])
def encoder(request: pytest.FixtureRequest) -> text_encoder.TextEncoder:
    """An encoder of each kind: with masked filler, with rows for all frames, and of the first version."""
    folder = request.getfixturevalue(request.param)
    tensors = {
        name.removeprefix("transformer."): tensor for name, tensor in load_file(folder / "model.safetensors").items()
    }
    return assemble_text_encoder(tensors, read_model(folder / "model.yaml").arch, torch.device("cpu"))


def tokens_of(encoder: text_encoder.TextEncoder, count: int) -> torch.Tensor:
    return torch.randint(0, len(encoder.table) - 1, (count,), generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(
    ("count", "frames"), [(1, 4), (31, 40), (32, 33), (32, 36), (33, 40), (60, 411), (61, 64), (62, 63), (150, 1219)]
)
def test_tokens_in_steps_have_the_same_rows(encoder: text_encoder.TextEncoder, count: int, frames: int) -> None:
    tokens = tokens_of(encoder, count)
    with torch.inference_mode():
        full = text_encoder.encode_in_full(encoder, tokens, frames)
        found = text_encoder.encode(replace(encoder, step=32), tokens, frames)
    rows = min(found.shape[1], frames)
    assert found.shape[1] == rows, "a row after the last frame has no place in the condition"
    assert (found - full[:, :rows]).abs().max() <= 1e-6 * full.abs().max()
    assert not full[:, rows:].any()


def test_a_replayed_encoder_gives_the_same_rows_bit_for_bit(encoder: text_encoder.TextEncoder) -> None:
    tape = TapeRecorder()
    in_steps = replace(encoder, step=32)
    number = torch.zeros((), dtype=torch.int64)
    graphs = CapturedFunction(
        "the text encoder", partial(text_encoder.compute_rows, encoder), (number.new_zeros(512), number, number),
        encoder.table.new_zeros(2, 512, encoder.table.shape[1]), tape,
    )  # fmt: skip
    replayed = replace(in_steps, compute=graphs)
    runs = [(40, 300), (60, 310), (5, 320), (60, 290)]
    with torch.inference_mode():
        expected = [text_encoder.encode(in_steps, tokens_of(encoder, count), frames) for count, frames in runs]
        for count, frames in runs:
            text_encoder.encode(replayed, tokens_of(encoder, count), frames)
        while graphs.capture_next():
            pass
        found = [text_encoder.encode(replayed, tokens_of(encoder, count), frames) for count, frames in runs]
    assert 1 <= tape.captured < len(runs), "lengths of one step share a graph"
    assert tape.replayed == len(runs)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_graphs_keep_their_table_of_positions_whatever_lengths_follow(encoder: text_encoder.TextEncoder) -> None:
    """A graph reads the address of the table that it was captured with, so that table must not be dropped."""
    captured = text_encoder._positions(64, encoder.table).data_ptr()
    kept = [text_encoder._positions(count, encoder.table).data_ptr() for count in (2049, 8192)]
    assert text_encoder._positions(64, encoder.table).data_ptr() == captured
    assert text_encoder._positions(2049, encoder.table).data_ptr() == kept[0]
