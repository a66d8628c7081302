"""Converts text to tokens like upstream's `convert_char_to_pinyin` and `list_str_to_idx`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from ishowtts.engines.f5.architecture import TokenizerName
from ishowtts.engines.f5.upstream import convert_char_to_pinyin

_UNKNOWN = 0  # upstream speaks an unknown character as the first token, a space
_REMEMBERED = 256


def split(text: str, tokenizer: TokenizerName) -> list[str]:
    """The tokens of a text.

    `pinyin`: Chinese becomes pinyin, and curly quotes and semicolons become others. Letters of other scripts stay.
    `char`: each character as it is.
    """
    if tokenizer == "char":
        return list(text)
    tokens: list[str] = convert_char_to_pinyin([text])[0]
    return tokens


class Tokenizer:
    """Converts a reference text and the text after it together: the tokens of the parts would differ.

    Args:
        vocab: token to index.
        remember: whether the tokens of the last texts are kept. A repeated line then skips the pinyin.
        tokenizer: how a text is split.
    """

    def __init__(self, vocab: Mapping[str, int], remember: bool, tokenizer: TokenizerName = "pinyin") -> None:
        self._vocab = vocab
        self._tokenizer = tokenizer
        self._tokens = lru_cache(_REMEMBERED)(self._convert) if remember else self._convert

    def __call__(self, text: str) -> Tensor:
        """The indices into the vocabulary, int64 [tokens], on the CPU."""
        return torch.tensor(self._tokens(text), dtype=torch.long)

    def _convert(self, text: str) -> tuple[int, ...]:
        return tuple(self._vocab.get(token, _UNKNOWN) for token in split(text, self._tokenizer))
