"""Text to tokens, as upstream's `convert_char_to_pinyin` and `list_str_to_idx`: Chinese becomes pinyin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from ishowtts.engines.f5.upstream import convert_char_to_pinyin

_UNKNOWN = 0  # upstream speaks a character that it does not know as a space
_REMEMBERED = 256


class Tokenizer:
    """Tokens of a text, together with those of the reference before it: tokens of the parts would differ.

    Args:
        vocab: token to index.
        remember: whether the last texts' tokens are kept; a repeated line skips the pinyin.
    """

    def __init__(self, vocab: Mapping[str, int], remember: bool) -> None:
        self._vocab = vocab
        self._tokens = lru_cache(_REMEMBERED)(self._convert) if remember else self._convert

    def __call__(self, text: str) -> Tensor:
        """Indices into the vocabulary, int64 [tokens], on the CPU."""
        return torch.tensor(self._tokens(text), dtype=torch.long)

    def _convert(self, text: str) -> tuple[int, ...]:
        return tuple(self._vocab.get(token, _UNKNOWN) for token in convert_char_to_pinyin([text])[0])
