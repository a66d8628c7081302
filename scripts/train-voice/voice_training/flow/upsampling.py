"""Upstream's average upsampling of text rows, for a whole batch at once: its own loop asks the GPU for every number."""

from __future__ import annotations

import torch
from torch import Tensor


def upsample(rows: Tensor, said: Tensor, lengths: Tensor) -> Tensor:
    """Each token's row repeated evenly over its line; equals `TextEmbedding.average_upsample_text_by_mask`.

    Args:
        rows: [lines, frames, text_dim]; the tokens' rows stand first.
        said: bool [lines, frames], where a token stands.
        lengths: int64 [lines], frames to fill.

    Returns:
        [lines, frames, text_dim], zero behind a line's end.
    """
    counts = said.sum(1, keepdim=True).clamp(min=1)
    each, more = lengths.unsqueeze(1) // counts, lengths.unsqueeze(1) % counts
    frame = torch.arange(rows.shape[1], device=rows.device).unsqueeze(0)
    # The last `more` tokens are repeated once more than the others.
    plain = (counts - more) * each
    late = counts - more + (frame - plain).clamp(min=0) // (each + 1)
    token = torch.where(frame < plain, frame // each.clamp(min=1), late).clamp(max=rows.shape[1] - 1)
    upsampled = torch.gather(rows, 1, token.unsqueeze(-1).expand(-1, -1, rows.shape[2]))
    filled = (frame < lengths.unsqueeze(1)) & said.any(1, keepdim=True)
    return upsampled * filled.unsqueeze(-1)
