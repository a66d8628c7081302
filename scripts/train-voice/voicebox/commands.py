"""What each command does: from the recipe and files of FOLDER to files of FOLDER."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from ishowtts.engines.f5.checkpoint import read_vocab
from voicebox.errors import TrainingError
from voicebox.recipe import Recipe

_SPEECH, _VOICE = "speech", "voice"
_FLOW, _VOCODER = "flow.safetensors", "vocoder.safetensors"
_VOCODER_SHARE = 0.35  # of the minutes that there are for both
_REFERENCES = {
    "closed": {"en": "one two, three four, five."},
    "open": {
        "en": "The old clock in the hall has stopped again, and nobody remembers how to wind it.",
        "zh": "客厅里的旧钟又停了，谁也不记得怎么上发条。",
    },
}


def make_speech(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Speech to learn from."""
    from voicebox.speech.making import make

    def report(number: int, spoken_s: float) -> None:
        _say(f"pack {number}: {spoken_s / 3600:.2f} of {recipe.speech.hours:g} hours are there")

    make(recipe.speech, recipe.seed, arguments.out / _SPEECH, arguments.workers, report)


def train_flow(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """The transformer."""
    _train_flow(arguments, recipe, arguments.minutes)


def train_vocoder(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """The vocoder."""
    _train_vocoder(arguments, recipe, arguments.minutes)


def train_both(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """The vocoder, the transformer, the checkpoint folder."""
    started, minutes = time.monotonic(), arguments.minutes
    _train_vocoder(arguments, recipe, None if minutes is None else minutes * _VOCODER_SHARE)
    left = None if minutes is None else minutes - (time.monotonic() - started) / 60
    _train_flow(arguments, recipe, left)
    export_voice(arguments, recipe)


def _train_flow(arguments: argparse.Namespace, recipe: Recipe, minutes: float | None) -> None:
    from voicebox.export import vocabulary
    from voicebox.flow.training import FlowTraining
    from voicebox.flow.utterances import Utterances
    from voicebox.learning.device import device_of
    from voicebox.learning.loop import run
    from voicebox.speech.corpus import Corpus

    device, vocab = device_of(arguments.device), read_vocab(vocabulary())
    utterances = Utterances(Corpus(arguments.out / _SPEECH), vocab, device)
    _say(f"transformer: {utterances}")
    flow = FlowTraining(recipe.flow, utterances, vocab, device, recipe.seed)
    run(flow, arguments.out / _FLOW, recipe.flow.steps, minutes, _say)


def _train_vocoder(arguments: argparse.Namespace, recipe: Recipe, minutes: float | None) -> None:
    from voicebox.learning.device import device_of
    from voicebox.learning.loop import run
    from voicebox.speech.corpus import Corpus
    from voicebox.vocoder.training import VocoderTraining

    corpus = Corpus(arguments.out / _SPEECH)
    _say(f"vocoder: {len(corpus.clips)} clips")
    waves = [corpus.wave(clip) for clip in corpus.clips]
    vocoder = VocoderTraining(recipe.vocoder, waves, device_of(arguments.device), recipe.seed)
    run(vocoder, arguments.out / _VOCODER, recipe.vocoder.steps, minutes, _say)


def export_voice(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """The checkpoint folder."""
    from voicebox.export import export

    folder = arguments.out / _VOICE
    export(recipe, arguments.out / _FLOW, arguments.out / _VOCODER, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    _say(f"{folder} is written ({size / 1e6:.1f} MB)")


def judge_voice(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """A table, and `judged.json` beside the voice."""
    from voicebox import judging
    from voicebox.speech.speakers import NEVER_SEEN, cast
    from voicebox.texts import held_out
    from voicebox.texts.closed import closed_held_out

    people = cast(recipe.seed, recipe.speech.speakers)[: arguments.speakers] + NEVER_SEEN[: arguments.unseen]
    rows: list[judging.Row] = []
    for language, reference in _REFERENCES[recipe.speech.texts].items():
        if language not in recipe.speech.languages:
            continue
        closed = recipe.speech.texts == "closed"
        texts = closed_held_out(arguments.sentences) if closed else held_out(language, arguments.sentences)
        exam = judging.Exam(
            weights=arguments.out / _VOICE,
            voices_dir=arguments.out / "references" / language,
            language=language,
            reference=reference,
            texts=texts,
            people=people,
            steps=arguments.nfe,
        )
        rows += judging.judge(exam, report=lambda row: _say(str(row)), threads=arguments.threads)
    _write(arguments.out / "judged.json", json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))


def draw(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """The logs as a picture."""
    from voicebox.plots import plot

    logs = [path for path in (arguments.out / name for name in ("flow.jsonl", "vocoder.jsonl")) if path.exists()]
    if not logs:
        raise TrainingError(f"{arguments.out} holds no log of a training; train first")
    plot(logs, arguments.out / "training.png", recipe.name)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, flush=True)
