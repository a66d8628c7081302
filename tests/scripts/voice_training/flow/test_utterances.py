"""Samples are joined as the engine joins a reference and a segment."""

import numpy as np
import pytest
import torch

pytest.importorskip("f5_tts")
pytestmark = pytest.mark.f5

from ishowtts.engines.f5.mel_spectrogram import log_mel  # noqa: E402
from ishowtts.engines.f5.tokens import Tokenizer  # noqa: E402
from ishowtts.engines.f5.vocabulary import read_vocab  # noqa: E402
from ishowtts.engines.voices.voice_library import f5_tts_data  # noqa: E402
from voice_training.dataset.corpus import Corpus, NewClip, pack_path, write_pack  # noqa: E402
from voice_training.errors import TrainingError  # noqa: E402
from voice_training.flow.utterances import UtteranceSampler  # noqa: E402

VOCAB = read_vocab(f5_tts_data("infer/examples/vocab.txt"))
WORDS = {"anna": ("one two.", "three.", "four five?"), "bo": ("你好。", "再见。", "谢谢。")}
SPACES = {"one two.": "one two.  ", "three.": "three.  ", "four five?": "four five?.  "}


def noise(seed, length_s):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(24_000 * length_s))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    clips = [
        NewClip(text, "en" if voice == "anna" else "zh", voice, noise(i, 0.5 + 0.1 * i))
        for i, (voice, text) in enumerate((voice, text) for voice, texts in WORDS.items() for text in texts)
    ]
    write_pack(pack_path(folder, 0), clips)
    return Corpus(folder)


@pytest.fixture(scope="module")
def utterances(corpus):
    return UtteranceSampler(corpus, VOCAB, torch.device("cpu"))


def batches(utterances, count=40, longest=400, budget=2000):
    return [utterances.batch(np.random.default_rng(seed), longest, budget) for seed in range(count)]


def samples(utterances):
    for batch in batches(utterances):
        for mel, tokens, length, first in zip(batch.mels, batch.tokens, batch.lengths, batch.firsts, strict=True):
            yield mel, tokens[tokens >= 0].tolist(), int(length), int(first)


@pytest.fixture(scope="module")
def mels(corpus):
    """Each clip with its mel, rounded as in the samples."""
    return [(clip, log_mel(torch.from_numpy(corpus.wave(clip))).half().float()) for clip in corpus.clips]


def clips_of(known, mel, length):
    """Find the clips that a sample consists of, by their mels."""
    found, at = [], 0
    while at < length:
        clip, rows = next((c, rows) for c, rows in known if torch.equal(mel[at : at + len(rows)], rows))
        found.append(clip)
        at += len(rows)
    assert at == length
    assert not mel[length:].any()
    return found


def test_a_sample_is_complete_clips_of_one_voice_with_their_texts(mels, utterances):
    tokenize = Tokenizer(VOCAB, remember=False)
    seen = set()
    for mel, tokens, length, first in samples(utterances):
        clips = clips_of(mels, mel, length)
        assert len({clip.voice for clip in clips}) == 1
        assert first == next(len(rows) for clip, rows in mels if clip == clips[0])
        texts = [clip.text for clip in clips]
        begin = SPACES.get(texts[0], texts[0]) if len(texts) > 1 else ""
        middle = [text + (" " if text[-1].isascii() else "") for text in texts[1:-1]]
        parts = [begin, *middle, texts[-1]]
        assert tokens == [token for part in parts if part for token in tokenize(part).tolist()]
        seen.add((clips[0].voice, min(len(clips), 3)))
    assert seen == {(voice, count) for voice in WORDS for count in (1, 2, 3)}


def test_the_same_random_numbers_give_the_same_batch(utterances):
    for one, other in zip(batches(utterances, 3), batches(utterances, 3), strict=True):
        assert torch.equal(one.mels, other.mels)
        assert torch.equal(one.tokens, other.tokens)


def test_batches_respect_maximum_length_and_budget(utterances):
    for batch in batches(utterances, longest=150, budget=1500):
        assert batch.lengths.max() <= 150
        assert batch.lengths.sum() <= 1500


def test_the_error_if_no_clip_fits_names_the_fix(utterances):
    with pytest.raises(TrainingError, match="short_s"):
        utterances.batch(np.random.default_rng(0), 10, 100)
