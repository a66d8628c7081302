"""Generates the training speech: Kokoro speaks sentences in parallel processes, and Whisper checks each clip.

A pack depends only on the recipe, the seed and its number, so generation can continue later and on any machine.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random

from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.errors import SynthesisError
from ishowtts.util.child_process import end_with_parent
from ishowtts_bench.metrics.asr import Asr
from voice_training.dataset.corpus import NewClip, pack_path, pack_seconds, packs, write_pack
from voice_training.dataset.kokoro import Kokoro
from voice_training.dataset.phonemes import phonemes
from voice_training.dataset.speakers import training_speakers
from voice_training.errors import TrainingError
from voice_training.recipe import SpeechRecipe
from voice_training.texts import Language, sentences
from voice_training.texts.closed_vocabulary import closed_sentences
from voice_training.texts.seeded_random import seeded_random

_MAX_PACKS = 100_000


def generate(recipe: SpeechRecipe, seed: int, folder: Path, workers: int, report: Callable[[int, float], None]) -> None:
    """Generate packs until the folder has `recipe.hours` of speech.

    Args:
        workers: number of processes.
        report: called with the number of each new pack and the total seconds of speech.

    Raises:
        TrainingError: a process was killed.
        EngineError: Kokoro or Whisper is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spoken_s = sum(pack_seconds(path) for path in packs(folder))
    numbers = (number for number in range(_MAX_PACKS) if not pack_path(folder, number).exists())
    wanted_s = recipe.hours * 3600
    if spoken_s >= wanted_s:
        return
    generate_pack = partial(_generate_pack, recipe.model_dump_json(), seed, folder)
    with _pool(workers) as pool:
        running = {pool.submit(generate_pack, number): number for number in islice(numbers, workers)}
        while spoken_s < wanted_s:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                spoken_s += _seconds_of(future)
                report(running.pop(future), spoken_s)
                if spoken_s < wanted_s:
                    number = next(numbers)
                    running[pool.submit(generate_pack, number)] = number
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), _init_worker)


def _seconds_of(future: Future[float]) -> float:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise TrainingError("a process that made speech was killed; if memory is short, use fewer --workers") from error


class _PackGenerator:
    """The models of one process."""

    def __init__(self, recipe: SpeechRecipe, seed: int, folder: Path) -> None:
        self._recipe, self._seed, self._folder = recipe, seed, folder
        self._kokoro = Kokoro(threads=1)
        self._speakers = training_speakers(seed, recipe.speakers)
        self._listener = None if recipe.worst is None else Asr(threads=1)

    def generate(self, number: int) -> float:
        """Generate one pack. Returns the seconds of speech in it."""
        rng = seeded_random(f"pack {self._seed} {number}")
        languages = self._recipe.languages
        language = rng.choices(list(languages), list(languages.values()))[0]
        clips = self._intelligible(list(self._spoken_clips(rng, language)), language)
        write_pack(pack_path(self._folder, number), clips)
        return sum(len(clip.sound) for clip in clips) / RATE_HZ

    def _spoken_clips(self, rng: Random, language: Language) -> Iterator[NewClip]:
        texts = self._texts(rng.getrandbits(32), language)
        for text, phoneme_text in zip(texts, phonemes(texts), strict=True):
            speaker, speed = rng.choice(self._speakers), rng.uniform(*self._recipe.speeds)
            try:
                yield NewClip(text, language, speaker.name, self._kokoro.synthesize(phoneme_text, speaker, speed))
            except SynthesisError:
                continue  # Kokoro fails occasionally; the other sentences suffice

    def _texts(self, seed: int, language: Language) -> list[str]:
        source = closed_sentences(seed) if self._recipe.texts == "closed" else sentences(language, seed)
        return list(islice(source, self._recipe.pack_clips))

    def _intelligible(self, clips: list[NewClip], language: Language) -> list[NewClip]:
        """The clips in which Whisper hears the intended text."""
        worst = self._recipe.worst
        if self._listener is None or worst is None:
            return clips
        results = self._listener.recognize([clip.sound for clip in clips], [clip.text for clip in clips], language)
        return [clip for clip, one in zip(clips, results, strict=True) if one.edits <= worst * one.total]


@lru_cache(1)
def _pack_generator(recipe_json: str, seed: int, folder: Path) -> _PackGenerator:
    """The generator of this process. It is cached because models take seconds to load."""
    return _PackGenerator(SpeechRecipe.model_validate_json(recipe_json), seed, folder)


def _generate_pack(recipe_json: str, seed: int, folder: Path, number: int) -> float:
    return _pack_generator(recipe_json, seed, folder).generate(number)


def _init_worker() -> None:
    """Let a worker end silently on Ctrl-C, which every process of the terminal gets, and end with its parent.

    Only the main process prints a message. Other signals reach only the main process.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
