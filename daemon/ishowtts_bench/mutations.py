"""Faults that a comparison must find, or it finds nothing: each breaks the engine while it is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import torch

from ishowtts.engines.f5 import attention, dit, duration, schedule, text_encoder, tokens
from ishowtts.engines.f5.attention import Attention, Lengths

_LOUD = 1000.0  # values that attention sees are about one


@contextmanager
def guidance_swapped() -> Iterator[None]:
    """The branches of an evaluation change places."""
    velocity = dit.velocity

    def swapped(*args: object) -> torch.Tensor:
        return torch.cat(velocity(*args).chunk(2)[::-1])  # type: ignore[arg-type]

    with patch.object(dit, "velocity", swapped):
        yield


@contextmanager
def text_of_another_line(text: str, other: str) -> Iterator[None]:
    """The tokens of another text."""
    tokenize = tokens.Tokenizer.__call__

    def stale(self: tokens.Tokenizer, said: str) -> torch.Tensor:
        return tokenize(self, said.replace(text, other))

    with patch.object(tokens.Tokenizer, "__call__", stale):
        yield


@contextmanager
def uniform_steps() -> Iterator[None]:
    """No pruned steps; an engine keeps the schedules that it met inside."""
    with patch.object(schedule, "_EPSS", {}):
        yield


@contextmanager
def text_at_bucket_length() -> Iterator[None]:
    """The text encoder is told the padded length."""
    encode = text_encoder.encode

    def at_bucket(weights: text_encoder.TextEncoder, ids: torch.Tensor, frames: int) -> torch.Tensor:
        return encode(weights, ids, duration.BUCKETS[-1])[:, :frames]

    with patch.object(text_encoder, "encode", at_bucket):
        yield


@contextmanager
def stale_lengths(missing: int) -> Iterator[None]:
    """A run is told the lengths of another one, which were shorter by so many frames."""
    lengths_of = Lengths.of

    def stale(frames: tuple[int, ...], padded: int, device: torch.device) -> Lengths:
        right = lengths_of(frames, padded, device)
        other = lengths_of(tuple(count - missing for count in frames), padded, device)
        return replace(right, keep=other.keep, counts=other.counts)

    with patch.object(Lengths, "of", stale):
        yield


@contextmanager
def loud_behind_the_end() -> Iterator[Callable[[int], None]]:
    """For engines that are loaded inside: what stands behind a line's end is loud, which a right engine never hears.

    Yields:
        What sets how many keys behind the end are seen all the same, 0 at first; in what is recorded already, too.
    """
    seen: dict[torch.device, torch.Tensor] = {}  # where a recorded graph reads it
    known = [0]  # the same, without waiting for the device

    def leaking(attend: Attention) -> Attention:
        def run(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Lengths | None) -> torch.Tensor:
            if lengths is None:
                return attend(q, k, v, None)
            if q.device not in seen:
                seen[q.device] = torch.zeros((), dtype=torch.int32, device=q.device)
            positions = torch.arange(lengths.keep.shape[1], device=q.device)
            behind = positions >= lengths.counts.unsqueeze(1)
            padded = lengths.keep.shape[1]
            counts = (lengths.counts + seen[q.device]).clamp(max=padded)
            keep = positions < counts.unsqueeze(1)
            frames = lengths.frames and tuple(min(count + known[0], padded) for count in lengths.frames)
            return attend(
                q, k, v.masked_fill(behind[:, None, :, None], _LOUD), Lengths(frames, keep, counts, lengths.starts)
            )

        return run

    def see(keys: int) -> None:
        known[0] = keys
        with torch.inference_mode():
            for count in seen.values():
                count.fill_(keys)

    leaks = {name: leaking(attend) for name, attend in attention.ATTENTIONS.items()}
    with patch.dict(attention.ATTENTIONS, leaks):
        yield see
