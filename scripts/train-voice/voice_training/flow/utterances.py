"""Composes the samples that a small F5 learns from, out of the mels and tokens of all clips, on the device.

The engine lets a voice continue after its reference. So a sample is a few clips of one voice, joined as the engine
joins a reference and a segment: mels end to end, texts with the same spaces between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ishowtts.engines.f5.architecture import HOP, MELS, RATE_HZ
from ishowtts.engines.f5.mel_spectrogram import log_mel
from ishowtts.engines.f5.reference import end_sentence
from ishowtts.engines.f5.tokens import Tokenizer
from voice_training.dataset.corpus import Clip, Corpus
from voice_training.errors import TrainingError

IntArray = NDArray[np.int64]

_TRIES = 16
_NO_TOKEN = -1


@dataclass(frozen=True)
class Batch:
    """Samples of one step, on the device.

    Attributes:
        mels: fp32 [samples, frames, 100]; zero after the end of a sample.
        tokens: int64 [samples, tokens]; -1 after the end of a text, as upstream pads.
        lengths: int64 [samples], in frames.
        firsts: int64 [samples], frames of the first clip.
    """

    mels: Tensor
    tokens: Tensor
    lengths: Tensor
    firsts: Tensor


class UtteranceSampler:
    """Holds the mels of a corpus, in fp16 on one device, and its tokens, and draws batches from them.

    Args:
        vocab: index of each token.
    """

    def __init__(self, corpus: Corpus, vocab: Mapping[str, int], device: torch.device) -> None:
        self._device = device
        mels = [log_mel(torch.from_numpy(corpus.wave(clip)).to(device)).half() for clip in corpus.clips]
        self._frames = np.array([len(mel) for mel in mels])
        self._ends = np.cumsum(self._frames)
        # The last row is padding.
        self._mels = torch.cat([*mels, torch.zeros(1, MELS, dtype=torch.float16, device=device)])
        tokenize = Tokenizer(vocab, remember=False)
        self._tokens: list[IntArray] = [tokenize(clip.text).numpy() for clip in corpus.clips]
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
        """Draw samples of at most `longest` frames each and about `budget` frames in all.

        Raises:
            TrainingError: a voice has no clip that is short enough.
        """
        if longest < self._shortest:
            raise TrainingError(f"a voice has no clip of {longest} frames or less; increase short_s in the recipe")
        length = int(rng.integers(max(self._shortest, longest // 4), longest + 1))
        samples = [self._sample(rng, length) for _ in range(max(1, budget // length))]
        return Batch(
            mels=self._mels[self._mel_rows(samples)].float(),
            tokens=self._to_device(_pad([self._text(clips) for clips in samples], _NO_TOKEN)),
            lengths=self._to_device(np.array([self._frames[clips].sum() for clips in samples])),
            firsts=self._to_device(np.array([self._frames[clips[0]] for clips in samples])),
        )

    def _sample(self, rng: np.random.Generator, length: int) -> IntArray:
        """Clips of one voice with at most `length` frames in all. A few tries look for clips that fit."""
        candidates = self._voices[rng.choice(len(self._voices), p=self._voice_shares)]
        chosen: list[int] = []
        for clip in rng.choice(candidates, size=_TRIES):
            if self._frames[[*chosen, clip]].sum() <= length:
                chosen.append(clip)
        clips: IntArray = np.array(chosen or [candidates[self._frames[candidates].argmin()]])
        return clips

    def _text(self, clips: IntArray) -> IntArray:
        before: list[IntArray] = []
        if len(clips) > 1:
            before = [self._reference_tokens[clips[0]], *(self._spaced_tokens[clip] for clip in clips[1:-1])]
        text: IntArray = np.concatenate([*before, self._tokens[clips[-1]]])
        return text

    def _mel_rows(self, samples: Sequence[IntArray]) -> Tensor:
        """Which rows of all mels make up each sample, int64 [samples, frames]."""
        begins = self._ends - self._frames
        rows = [np.concatenate([np.arange(begins[clip], self._ends[clip]) for clip in clips]) for clips in samples]
        return self._to_device(_pad(rows, len(self._mels) - 1))

    def _to_device(self, numbers: IntArray) -> Tensor:
        return torch.from_numpy(numbers).to(self._device, non_blocking=True)


def _reference_text(text: str) -> str:
    """A reference's text as it comes before a segment's: upstream's `preprocess_ref_audio_text`, `infer_process`."""
    return _with_space(end_sentence(text))


def _with_space(text: str) -> str:
    return text + " " if text[-1].isascii() else text


def _pad(lines: Sequence[IntArray], filler: int) -> IntArray:
    table = np.full((len(lines), max(len(line) for line in lines)), filler)
    for i, line in enumerate(lines):
        table[i, : len(line)] = line
    return table


def _clips_by_voice(clips: Sequence[Clip]) -> list[IntArray]:
    names = sorted({clip.voice for clip in clips})
    return [np.array([i for i, clip in enumerate(clips) if clip.voice == name]) for name in names]
