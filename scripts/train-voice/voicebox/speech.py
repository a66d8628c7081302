"""Makes speech to learn from: packs of sentences, each in one process on one thread, heard again before it is kept.

A pack is a pure function of the recipe, the seed and its number, so that making goes on where it ended, on any machine.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path

from ishowtts.errors import SynthesisError
from voicebox.corpus import Language, Take, pack_path, pack_seconds, write_pack
from voicebox.speech_recipe import SpeechRecipe
from voicebox.texts import sentences
from voicebox.texts.chance import chance
from voicebox.texts.closed import closed_sentences


def make(
    recipe: SpeechRecipe, seed: int, folder: Path, workers: int, report: Callable[[int, float], None]
) -> None:
    """Make packs until `recipe.hours` are there.

    Args:
        report: told the number of each pack that was made, and the seconds of speech there are.
    """
    numbers = (number for number in range(100_000) if not pack_path(folder, number).exists())
    seconds = sum(pack_seconds(path) for path in sorted(folder.glob("pack-*.json")))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (recipe, seed, folder)) as pool:
        under_way = {pool.submit(_make_pack, number): number for number in islice(numbers, workers)}
        while seconds < recipe.hours * 3600:
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                seconds += future.result()
                report(under_way.pop(future), seconds)
                number = next(numbers)
                under_way[pool.submit(_make_pack, number)] = number
        pool.shutdown(cancel_futures=True)


_makers: list[_Maker] = []


def _start(recipe: SpeechRecipe, seed: int, folder: Path) -> None:
    _makers[:] = [_Maker(recipe, seed, folder)]


def _make_pack(number: int) -> float:
    return _makers[0].make(number)


class _Maker:
    """One process' models."""

    def __init__(self, recipe: SpeechRecipe, seed: int, folder: Path) -> None:
        from voicebox.kokoro import Kokoro
        from voicebox.speakers import cast

        self._recipe, self._seed, self._folder = recipe, seed, folder
        self._kokoro = Kokoro(threads=1)
        self._cast = cast(seed, recipe.speakers)
        self._listener = None
        if recipe.worst is not None:
            from ishowtts.bench.judges.words import Listener

            self._listener = Listener(threads=1)

    def make(self, number: int) -> float:
        """Returns its seconds."""
        takes = list(self._takes(number))
        kept = self._heard(takes)
        write_pack(pack_path(self._folder, number), kept)
        return sum(len(take.sound) for take in kept) / 24000

    def _takes(self, number: int) -> Iterator[Take]:
        from voicebox.phonemes import phonemes

        recipe, draw = self._recipe, chance(f"speech {self._seed} {number}")
        language = draw.choices(list(recipe.languages), list(recipe.languages.values()))[0]
        source = closed_sentences(draw.getrandbits(32)) if recipe.texts == "closed" else sentences(language, draw.getrandbits(32))
        texts = list(islice(source, recipe.pack_clips))
        for text, letters in zip(texts, phonemes(texts), strict=True):
            speaker, speed = draw.choice(self._cast), draw.uniform(*recipe.speeds)
            try:
                yield Take(text, language, speaker.name, self._kokoro.say(letters, speaker, speed))
            except SynthesisError:
                continue

    def _heard(self, takes: list[Take]) -> list[Take]:
        if self._listener is None:
            return takes
        verdicts = self._listener.verdicts([t.sound for t in takes], [t.text for t in takes], takes[0].language)
        return [take for take, verdict in zip(takes, verdicts) if verdict.edits <= self._recipe.worst * verdict.total]
