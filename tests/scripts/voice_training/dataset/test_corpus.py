"""Packs are read as they were written, and the error for a broken pack names it."""

import json

import numpy as np
import pytest

from voice_training.dataset.corpus import Corpus, NewClip, pack_path, pack_seconds, packs, write_pack
from voice_training.errors import TrainingError

RATE_HZ = 24_000


def tone(hz: float, length_s: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(length_s * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    write_pack(
        pack_path(tmp_path, 0),
        [NewClip("low.", "en", "anna", tone(200, 0.7)), NewClip("高。", "zh", "bo", tone(900, 0.5))],
    )
    write_pack(pack_path(tmp_path, 7), [NewClip("mid.", "en", "anna", tone(440, 1.1))])
    return tmp_path


def loudest_hz(sound):
    return np.abs(np.fft.rfft(sound)).argmax() * RATE_HZ / len(sound)


def test_every_clip_keeps_its_text_voice_and_sound(folder):
    corpus = Corpus(folder)
    found = [(clip.text, clip.language, clip.voice, round(clip.seconds, 3)) for clip in corpus.clips]
    assert found == [("low.", "en", "anna", 0.7), ("高。", "zh", "bo", 0.5), ("mid.", "en", "anna", 1.1)]
    for clip, hz in zip(corpus.clips, (200, 900, 440), strict=True):
        sound = corpus.wave(clip)
        assert len(sound) == clip.samples
        assert loudest_hz(sound) == pytest.approx(hz, abs=2.5)


def test_opus_does_not_shift_the_sound(folder):
    """The delay of a codec would move the boundaries of the clips."""
    corpus = Corpus(folder)
    for clip, hz in zip(corpus.clips, (200, 900, 440), strict=True):
        wanted = tone(hz, clip.seconds)
        assert np.corrcoef(wanted, corpus.wave(clip))[0, 1] > 0.99


def test_names_are_unique_and_the_duration_is_known_without_the_sound(folder):
    corpus = Corpus(folder)
    assert len({clip.name for clip in corpus.clips}) == 3
    for path in packs(folder):
        path.with_suffix(".opus").unlink()
    assert [round(pack_seconds(path), 2) for path in packs(folder)] == [1.2, 1.1]


def test_a_pack_without_its_list_is_ignored(folder):
    """The list is written last, so an interrupted pack is generated again."""
    pack_path(folder, 7).unlink()
    assert len(Corpus(folder).clips) == 2


def test_a_pack_without_clips_is_complete(folder):
    write_pack(pack_path(folder, 8), [])
    assert len(packs(folder)) == 3
    assert pack_seconds(pack_path(folder, 8)) == 0
    assert len(Corpus(folder).clips) == 3


def test_the_error_for_an_empty_folder_names_the_fix(tmp_path):
    with pytest.raises(TrainingError, match="holds no speech; make some with `train-voice speech`"):
        Corpus(tmp_path)


@pytest.mark.parametrize("broken", ["list", "fields", "sound", "length"])
def test_the_error_for_a_broken_pack_names_it(folder, broken):
    path = pack_path(folder, 7)
    if broken == "list":
        path.write_text("[{")
    elif broken == "fields":
        path.write_text('[{"name": "x"}]')
    elif broken == "sound":
        path.with_suffix(".opus").write_bytes(b"OggS no more")
    else:
        entries = json.loads(path.read_text())
        entries[0]["samples"] *= 3
        path.write_text(json.dumps(entries))
    with pytest.raises(TrainingError, match=r"pack-00007\.json"):
        Corpus(folder)
