"""The closed form is the encoder over every frame, and both are upstream's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ishowtts.bench.original import Original
from ishowtts.engines.f5 import text_encoder
from ishowtts.engines.f5.architecture import Dit
from ishowtts.engines.f5.assembly import assemble_text_encoder

pytestmark = [pytest.mark.f5, pytest.mark.slow]


@pytest.fixture(scope="session")
def pair(upstream: Original) -> tuple[text_encoder.TextEncoder, Callable[..., Any]]:
    """Ours, and upstream's `TextEmbedding` over the same weights."""
    transformer = upstream.cfm.transformer
    description = Dit(dim=128, depth=3, heads=2, ff_mult=2, text_dim=64, conv_layers=4)
    return assemble_text_encoder(transformer.state_dict(), description, torch.device("cpu")), transformer.text_embed


@pytest.mark.parametrize(
    ("count", "frames"), [(150, 1219), (60, 411), (63, 64), (62, 64), (61, 64), (1, 4), (638, 640)]
)
@pytest.mark.parametrize("drop", [False, True])
def test_every_form_is_upstreams(
    pair: tuple[text_encoder.TextEncoder, Callable[..., Any]], count: int, frames: int, drop: bool
) -> None:
    ours, upstreams = pair
    tokens = torch.randint(0, 2500, (count,), generator=torch.Generator().manual_seed(count))
    with torch.inference_mode():
        expected = upstreams(tokens[None], seq_len=frames, drop_text=drop)[0]
        closed = text_encoder.encode(ours, tokens, frames)[int(drop)]
        full = text_encoder.encode_in_full(ours, tokens, frames)[int(drop)]
    assert not expected[count:].any()
    largest = expected.abs().max()
    assert (closed - expected[:count]).abs().max() <= 1e-5 * largest
    assert (full - expected).abs().max() <= 1e-5 * largest


def test_a_wrong_length_would_be_noticed(pair: tuple[text_encoder.TextEncoder, Callable[..., Any]]) -> None:
    ours, _ = pair
    tokens = torch.arange(50)
    with torch.inference_mode():
        right, wrong = (text_encoder.encode(ours, tokens, frames)[0] for frames in (400, 464))
    assert (right - wrong).abs().max() > 1e-4 * right.abs().max()
