"""Mutations: each context manager breaks the engine on purpose. A comparison that misses one is worthless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import torch

from ishowtts.engines.f5 import attention, dit, duration, schedule, text_encoder, tokens
from ishowtts.engines.f5.attention import Attention
from ishowtts.engines.f5.lengths import Lengths

_LOUD = 1000.0  # normal inputs of attention are about one


@contextmanager
def guidance_swapped() -> Iterator[None]:
    """Swap the two branches of an evaluation."""
    velocity = dit.velocity

    def swapped(*args: object) -> torch.Tensor:
        return torch.cat(velocity(*args).chunk(2)[::-1])  # type: ignore[arg-type]

    with patch.object(dit, "velocity", swapped):
        yield


@contextmanager
def text_of_another_line(text: str, other: str) -> Iterator[None]:
    """Use the tokens of another text."""
    tokenize = tokens.Tokenizer.__call__

    def stale(self: tokens.Tokenizer, spoken: str) -> torch.Tensor:
        return tokenize(self, spoken.replace(text, other))

    with patch.object(tokens.Tokenizer, "__call__", stale):
        yield


@contextmanager
def uniform_steps() -> Iterator[None]:
    """Use uniform steps instead of pruned ones. An engine keeps the schedules that it computes meanwhile."""
    with patch.object(schedule, "_EPSS", {}):
        yield


@contextmanager
def text_at_bucket_length() -> Iterator[None]:
    """Give the padded length to the text encoder."""
    encode = text_encoder.encode

    def at_bucket(weights: text_encoder.TextEncoder, ids: torch.Tensor, frames: int) -> torch.Tensor:
        return encode(weights, ids, duration.BUCKETS[-1])[:, :frames]

    with patch.object(text_encoder, "encode", at_bucket):
        yield


@contextmanager
def stale_lengths(missing: int) -> Iterator[None]:
    """Give a run the lengths of another run, which are shorter by `missing` frames."""
    lengths_of = Lengths.of

    def stale(frames: tuple[int, ...], padded: int, device: torch.device) -> Lengths:
        right = lengths_of(frames, padded, device)
        other = lengths_of(tuple(count - missing for count in frames), padded, device)
        return replace(right, keep=other.keep, counts=other.counts, sequences=other.sequences)

    with patch.object(Lengths, "of", stale):
        yield


@contextmanager
def loud_padding() -> Iterator[Callable[[int], None]]:
    """Make the padding after each segment loud, for engines that are loaded inside. A correct engine masks it.

    Yields:
        A function that sets the number of padding keys that attention sees anyway, 0 at first. It also changes graphs
        that are already captured.
    """
    seen: dict[torch.device, torch.Tensor] = {}  # a captured graph reads the number here
    known = [0]  # the same number on the CPU, so that nobody has to wait for the device

    def leaking(attend: Attention) -> Attention:
        def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Lengths | None) -> torch.Tensor:
            if lengths is None:
                return attend(q, k, v, None)
            if q.device not in seen:
                seen[q.device] = torch.zeros((), dtype=torch.int32, device=q.device)
            positions = torch.arange(lengths.keep.shape[1], device=q.device)
            padding = positions >= lengths.counts.unsqueeze(1)
            padded = lengths.keep.shape[1]
            counts = (lengths.counts + seen[q.device]).clamp(max=padded)
            keep = positions < counts.unsqueeze(1)
            frames = lengths.frames and tuple(min(count + known[0], padded) for count in lengths.frames)
            leaked = Lengths.on_device(frames, keep, counts, lengths.starts)
            return attend(q, k, v.masked_fill(padding[:, None, :, None], _LOUD), leaked)

        return run

    def see(keys: int) -> None:
        known[0] = keys
        with torch.inference_mode():
            for count in seen.values():
                count.fill_(keys)

    leaks = {name: leaking(attend) for name, attend in attention.ATTENTIONS.items()}
    with patch.dict(attention.ATTENTIONS, leaks):
        yield see
