"""Makes speech to learn from: packs of sentences, each in one process on one thread, heard again before it is kept.

A pack is a pure function of the recipe, the seed and its number, so that making goes on where it ended, on any machine.
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

from ishowtts.bench.judges.words import Listener
from ishowtts.engines.f5.architecture import RATE_HZ
from ishowtts.engines.worker import end_with_parent
from ishowtts.errors import SynthesisError
from voicebox.errors import TrainingError
from voicebox.speech.corpus import Take, pack_path, pack_seconds, packs, write_pack
from voicebox.speech.kokoro import Kokoro
from voicebox.speech.phonemes import phonemes
from voicebox.speech.recipe import SpeechRecipe
from voicebox.speech.speakers import cast
from voicebox.texts import Language, sentences
from voicebox.texts.chance import chance
from voicebox.texts.closed import closed_sentences

_MOST_PACKS = 100_000


def make(recipe: SpeechRecipe, seed: int, folder: Path, workers: int, report: Callable[[int, float], None]) -> None:
    """Make packs until `recipe.hours` are there.

    Args:
        report: told the number of each pack that was made, and the seconds of speech there are.

    Raises:
        TrainingError: a process was killed.
        EngineError: Kokoro or the judge is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spoken_s = sum(pack_seconds(path) for path in packs(folder))
    numbers = (number for number in range(_MOST_PACKS) if not pack_path(folder, number).exists())
    wanted_s = recipe.hours * 3600
    if spoken_s >= wanted_s:
        return
    make_pack = partial(_make_pack, recipe.model_dump_json(), seed, folder)
    with _pool(workers) as pool:
        under_way = {pool.submit(make_pack, number): number for number in islice(numbers, workers)}
        while spoken_s < wanted_s:
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                spoken_s += _result(future)
                report(under_way.pop(future), spoken_s)
                if spoken_s < wanted_s:
                    number = next(numbers)
                    under_way[pool.submit(make_pack, number)] = number
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, get_context("spawn"), _end_quietly)


def _result(future: Future[float]) -> float:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise TrainingError("a process that made speech was killed; is memory short? Take fewer --workers") from error


class _Maker:
    """One process' models."""

    def __init__(self, recipe: SpeechRecipe, seed: int, folder: Path) -> None:
        self._recipe, self._seed, self._folder = recipe, seed, folder
        self._kokoro = Kokoro(threads=1)
        self._cast = cast(seed, recipe.speakers)
        self._listener = None if recipe.worst is None else Listener(threads=1)

    def make(self, number: int) -> float:
        """Make this pack. Returns the seconds of speech in it."""
        draw = chance(f"pack {self._seed} {number}")
        languages = self._recipe.languages
        language = draw.choices(list(languages), list(languages.values()))[0]
        takes = self._understood(list(self._takes(draw, language)), language)
        write_pack(pack_path(self._folder, number), takes)
        return sum(len(take.sound) for take in takes) / RATE_HZ

    def _takes(self, draw: Random, language: Language) -> Iterator[Take]:
        texts = self._texts(draw.getrandbits(32), language)
        for text, letters in zip(texts, phonemes(texts), strict=True):
            speaker, speed = draw.choice(self._cast), draw.uniform(*self._recipe.speeds)
            try:
                yield Take(text, language, speaker.name, self._kokoro.say(letters, speaker, speed))
            except SynthesisError:
                continue  # Kokoro breaks now and then; another sentence comes

    def _texts(self, seed: int, language: Language) -> list[str]:
        source = closed_sentences(seed) if self._recipe.texts == "closed" else sentences(language, seed)
        return list(islice(source, self._recipe.pack_clips))

    def _understood(self, takes: list[Take], language: Language) -> list[Take]:
        """Those that are heard as they were meant."""
        worst = self._recipe.worst
        if self._listener is None or worst is None:
            return takes
        verdicts = self._listener.verdicts([take.sound for take in takes], [take.text for take in takes], language)
        return [take for take, one in zip(takes, verdicts, strict=True) if one.edits <= worst * one.total]


@lru_cache(1)
def _maker(recipe_json: str, seed: int, folder: Path) -> _Maker:
    """The process' own: models take seconds to load."""
    return _Maker(SpeechRecipe.model_validate_json(recipe_json), seed, folder)


def _make_pack(recipe_json: str, seed: int, folder: Path, number: int) -> float:
    return _maker(recipe_json, seed, folder).make(number)


def _end_quietly() -> None:
    """Ctrl-C reaches every process of a terminal, and one of them speaks; another signal reaches only that one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
