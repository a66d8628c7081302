"""What a small F5 learns from, on the device: mels and tokens of every clip, and how they are put together.

The engine lets a voice speak on after its reference. So a sample is some clips of one voice in a row, joined as the
engine joins a reference and a segment: their mels end to end, their texts with its spaces between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ishowtts.engines.f5.architecture import HOP, MELS, RATE_HZ
from ishowtts.engines.f5.reference import end_sentence
from ishowtts.engines.f5.spectrum import log_mel
from ishowtts.engines.f5.tokens import Tokenizer
from voice_training.dataset.corpus import Clip, Corpus
from voice_training.errors import TrainingError

Rows = NDArray[np.int64]

_TRIES = 16
_NO_TOKEN = -1


@dataclass(frozen=True)
class Batch:
    """Samples of one step, on the device.

    Args:
        mels: fp32 [samples, frames, 100]; zero behind a sample's end.
        tokens: int64 [samples, tokens]; -1 behind a text's end, as upstream pads.
        lengths: int64 [samples], frames.
        firsts: int64 [samples], frames of the first clip.
    """

    mels: Tensor
    tokens: Tensor
    lengths: Tensor
    firsts: Tensor


class UtteranceSampler:
    """Mels of a corpus, in fp16 on one device, and its tokens.

    Args:
        vocab: token to index.
    """

    def __init__(self, corpus: Corpus, vocab: Mapping[str, int], device: torch.device) -> None:
        self._device = device
        mels = [log_mel(torch.from_numpy(corpus.wave(clip)).to(device)).half() for clip in corpus.clips]
        self._frames = np.array([len(mel) for mel in mels])
        self._first_frames = np.cumsum(self._frames) - self._frames
        # One row more: what stands behind a sample's end.
        self._mels = torch.cat([*mels, torch.zeros(1, MELS, dtype=torch.float16, device=device)])
        tokenize = Tokenizer(vocab, remember=False)
        self._tokens: list[Rows] = [tokenize(clip.text).numpy() for clip in corpus.clips]
        self._reference_tokens = [tokenize(_reference_text(clip.text)).numpy() for clip in corpus.clips]
        self._spaced_tokens = [tokenize(_with_space(clip.text)).numpy() for clip in corpus.clips]
        self._voices = _clips_by_voice(corpus.clips)
        self._shortest = max(int(self._frames[clips].min()) for clips in self._voices)
        spoken = np.array([self._frames[clips].sum() for clips in self._voices], np.float64)
        self._voice_shares = spoken / spoken.sum()

    def __str__(self) -> str:
        hours = self._frames.sum() * HOP / RATE_HZ / 3600
        return f"{len(self._frames)} clips of {len(self._voices)} voices, {hours:.2f} hours"

    def batch(self, rng: np.random.Generator, longest: int, budget: int) -> Batch:
        """Random samples of at most `longest` frames each, and of about `budget` frames together."""
        if longest < self._shortest:
            raise TrainingError(f"a voice has no clip as short as {longest} frames; let the recipe's short_s be longer")
        length = int(rng.integers(max(self._shortest, longest // 4), longest + 1))
        rows = [self._sample(rng, length) for _ in range(max(1, budget // length))]
        return Batch(
            mels=self._mels[self._gather(rows)].float(),
            tokens=self._to_device(_pad([self._text(row) for row in rows], _NO_TOKEN)),
            lengths=self._to_device(np.array([self._frames[row].sum() for row in rows])),
            firsts=self._to_device(np.array([self._frames[row[0]] for row in rows])),
        )

    def _sample(self, rng: np.random.Generator, length: int) -> Rows:
        """Clips of one voice that fill `length` frames, as far as a few tries find some that fit."""
        clips = self._voices[rng.choice(len(self._voices), p=self._voice_shares)]
        chosen: list[int] = []
        for clip in rng.choice(clips, size=_TRIES):
            if self._frames[[*chosen, clip]].sum() <= length:
                chosen.append(clip)
        row: Rows = np.array(chosen or [clips[self._frames[clips].argmin()]])
        return row

    def _text(self, row: Rows) -> Rows:
        first, last = row[0], row[-1]
        before = (
            [self._reference_tokens[first], *(self._spaced_tokens[clip] for clip in row[1:-1])] if len(row) > 1 else []
        )
        text: Rows = np.concatenate([*before, self._tokens[last]])
        return text

    def _gather(self, rows: Sequence[Rows]) -> Tensor:
        frames = [
            np.concatenate(
                [np.arange(self._first_frames[clip], self._first_frames[clip] + self._frames[clip]) for clip in row]
            )
            for row in rows
        ]
        return self._to_device(_pad(frames, len(self._mels) - 1))

    def _to_device(self, numbers: Rows) -> Tensor:
        return torch.from_numpy(numbers).to(self._device, non_blocking=True)


def _reference_text(text: str) -> str:
    """A reference's words as they stand before a segment's: upstream's `preprocess_ref_audio_text`, `infer_process`."""
    return _with_space(end_sentence(text))


def _with_space(text: str) -> str:
    return text + " " if text[-1].isascii() else text


def _pad(lines: Sequence[Rows], filler: int) -> Rows:
    table = np.full((len(lines), max(len(line) for line in lines)), filler)
    for i, line in enumerate(lines):
        table[i, : len(line)] = line
    return table


def _clips_by_voice(clips: Sequence[Clip]) -> list[Rows]:
    names = sorted({clip.voice for clip in clips})
    return [np.array([i for i, clip in enumerate(clips) if clip.voice == name]) for name in names]
