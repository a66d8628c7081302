"""The commands of `train-voice`: each reads the recipe and files of FOLDER, and writes files to FOLDER."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ishowtts.engines.f5.vocabulary import read_vocab
from voice_training.errors import TrainingError
from voice_training.recipe import Recipe

if TYPE_CHECKING:
    import torch

_SPEECH, _VOICE = "speech", "voice"
_FLOW, _VOCODER = "flow.safetensors", "vocoder.safetensors"
_VOCODER_SHARE = 0.35  # of `--minutes`, if both models are trained
_REFERENCE_TEXTS = {
    "closed": {"en": "one two, three four, five."},
    "open": {
        "en": "The old clock in the hall has stopped again, and nobody remembers how to wind it.",
        "zh": "客厅里的旧钟又停了，谁也不记得怎么上发条。",
    },
}


def generate_speech(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Generate the training speech."""
    from voice_training.dataset.generation import generate

    def report(number: int, spoken_s: float) -> None:
        _print(f"pack {number}: {spoken_s / 3600:.2f} of {recipe.speech.hours:g} hours are done")

    generate(recipe.speech, recipe.seed, arguments.out / _SPEECH, arguments.workers, report)


def train_flow(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Train the transformer."""
    _train_flow(arguments, recipe, arguments.minutes)


def train_vocoder(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Train the vocoder."""
    _train_vocoder(arguments, recipe, arguments.minutes)


def train_both(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Train the vocoder, then the transformer, and export both."""
    started, minutes = time.monotonic(), arguments.minutes
    _train_vocoder(arguments, recipe, None if minutes is None else minutes * _VOCODER_SHARE)
    left = None if minutes is None else minutes - (time.monotonic() - started) / 60
    _train_flow(arguments, recipe, left)
    export_voice(arguments, recipe)


def _train_flow(arguments: argparse.Namespace, recipe: Recipe, minutes: float | None) -> None:
    from voice_training.dataset.corpus import Corpus
    from voice_training.export import vocabulary
    from voice_training.flow.flow_trainer import FlowTrainer
    from voice_training.flow.utterances import UtteranceSampler
    from voice_training.trainer.loop import run

    device, vocab = _device(arguments.device), read_vocab(vocabulary())
    utterances = UtteranceSampler(Corpus(arguments.out / _SPEECH), vocab, device)
    _print(f"transformer: {utterances}")
    trainer = FlowTrainer(recipe.flow, utterances, vocab, device, recipe.seed)
    run(trainer, arguments.out / _FLOW, recipe.flow.steps, minutes, _print)


def _train_vocoder(arguments: argparse.Namespace, recipe: Recipe, minutes: float | None) -> None:
    from voice_training.dataset.corpus import Corpus
    from voice_training.trainer.loop import run
    from voice_training.vocoder.vocoder_trainer import VocoderTrainer

    corpus = Corpus(arguments.out / _SPEECH)
    _print(f"vocoder: {len(corpus.clips)} clips")
    waves = [corpus.wave(clip) for clip in corpus.clips]
    trainer = VocoderTrainer(recipe.vocoder, waves, _device(arguments.device), recipe.seed)
    run(trainer, arguments.out / _VOCODER, recipe.vocoder.steps, minutes, _print)


def _device(requested: str | None) -> torch.device:
    """The requested device. By default, CUDA if it works, otherwise the CPU."""
    import torch

    works = torch.cuda.is_available()
    if requested == "cuda" and not works:
        raise TrainingError("PyTorch cannot use a CUDA GPU here; leave --device out to train on the CPU")
    device = torch.device(requested or ("cuda" if works else "cpu"))
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def export_voice(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Write the checkpoint folder."""
    from voice_training.export import export

    folder = arguments.out / _VOICE
    export(recipe, arguments.out / _FLOW, arguments.out / _VOCODER, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    _print(f"{folder} is written ({size / 1e6:.1f} MB)")


def evaluate_voice(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Measure the exported voice: print a table, and write `evaluation.json`."""
    from voice_training import evaluation
    from voice_training.dataset.speakers import HELD_OUT_SPEAKERS, training_speakers
    from voice_training.texts import held_out
    from voice_training.texts.closed_vocabulary import closed_held_out

    known = training_speakers(recipe.seed, recipe.speech.speakers)[: arguments.speakers]
    rows: list[evaluation.EvaluationRow] = []
    for language, reference in _REFERENCE_TEXTS[recipe.speech.texts].items():
        if language not in recipe.speech.languages:
            continue
        closed = recipe.speech.texts == "closed"
        texts = closed_held_out(arguments.sentences) if closed else held_out(language, arguments.sentences)
        plan = evaluation.EvaluationPlan(
            weights=arguments.out / _VOICE,
            voices_dir=arguments.out / "references" / language,
            language=language,
            reference=reference,
            texts=texts,
            speakers=known + HELD_OUT_SPEAKERS[: arguments.unseen],
            nfe_steps=arguments.nfe,
        )
        rows += evaluation.evaluate(plan, report=lambda row: _print(str(row)), threads=arguments.threads)
    content = json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1)
    (arguments.out / "evaluation.json").write_text(content + "\n", encoding="utf-8")


def plot_logs(arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Plot the logs."""
    from voice_training.plots import plot

    logs = [path for path in (arguments.out / name for name in ("flow.jsonl", "vocoder.jsonl")) if path.exists()]
    if not logs:
        raise TrainingError(f"{arguments.out} holds no log of a training; train first")
    plot(logs, arguments.out / "training.png", recipe.name)


def _print(text: str) -> None:
    print(text, flush=True)
