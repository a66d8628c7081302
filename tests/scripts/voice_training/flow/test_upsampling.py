"""Our upsampling of a whole batch is upstream's loop."""

import pytest
import torch

pytest.importorskip("f5_tts")
pytestmark = pytest.mark.f5

from ishowtts.engines.f5.stock import DiT  # noqa: E402
from voice_training.flow.upsampling import upsample  # noqa: E402

LINES = [(3, 10), (4, 8), (7, 9), (5, 5), (1, 12), (0, 6), (11, 23)]


def text_encoder(tokens, dim):
    torch.manual_seed(0)
    dit = DiT(
        dim=16, depth=1, heads=1, text_num_embeds=tokens, text_dim=dim, conv_layers=2,
        text_embedding_average_upsampling=True,
    )  # fmt: skip
    return dit.text_embed


def test_every_token_is_repeated_as_upstream_repeats_it():
    frames = max(length for _, length in LINES)
    lengths = torch.tensor([length for _, length in LINES])
    said = torch.arange(frames) < torch.tensor([count for count, _ in LINES]).unsqueeze(1)
    rows = torch.randn(len(LINES), frames, 4, generator=torch.Generator().manual_seed(0))
    wanted = text_encoder(tokens=10, dim=4).average_upsample_text_by_mask(rows, said, lengths)
    assert torch.equal(upsample(rows, said, lengths), wanted)


@pytest.mark.parametrize("drop_text", [False, True])
def test_the_whole_encoder_is_upstreams(drop_text):
    encoder = text_encoder(tokens=20, dim=16)
    text = torch.randint(0, 20, (3, 9))
    text[1, 5:] = text[2, 2:] = -1
    lengths = torch.tensor([30, 25, 17])
    wanted = encoder(text, lengths, drop_text=drop_text)
    encoder.average_upsample_text_by_mask = upsample
    assert torch.equal(encoder(text, lengths, drop_text=drop_text), wanted)
