"""`train-voice`: speech, both trainings, the checkpoint folder, and what a judge hears."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ishowtts.errors import IShowError
from voicebox import recipe as recipes
from voicebox.recipe import Recipe


def main(words: list[str] | None = None) -> int:
    """Run one command; a mistake is one sentence and 1."""
    arguments = _parser().parse_args(words)
    try:
        recipe = recipes.read(arguments.recipe)
        arguments.command(arguments, recipe)
    except IShowError as error:
        print(f"train-voice: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train-voice", description="Train a small F5 and a small Vocos.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("recipe", type=Path, metavar="RECIPE", help="of scripts/train-voice/recipes")
    common.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="speech, states, logs and the voice")
    common.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: CUDA where it works")
    common.add_argument("--minutes", type=float, default=None, metavar="N", help="end then, saved")
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    speech = commands.add_parser("speech", parents=[common], help="make the speech to learn from; goes on where it was")
    speech.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    speech.set_defaults(command=_speech)
    for name, text, command in (
        ("flow", "train the transformer; goes on where it was", _flow),
        ("vocoder", "train the vocoder; goes on where it was", _vocoder),
    ):
        commands.add_parser(name, parents=[common], help=text).set_defaults(command=command)
    export = commands.add_parser("export", parents=[common], help="write the checkpoint folder OUT/voice")
    export.set_defaults(command=_export)
    judge = commands.add_parser("judge", parents=[common], help="have it speak what training never saw, and listen")
    judge.add_argument("--sentences", type=int, default=20, metavar="N", help="for each language")
    judge.add_argument("--speakers", type=int, default=3, metavar="N", help="of those that it learnt from")
    judge.add_argument("--unseen", type=int, default=0, metavar="N", help="of those that it never heard, 4 at most")
    judge.add_argument("--nfe", type=_steps, default=(32, 16, 7, 6, 5), metavar="N,N,…", help="evaluations")
    judge.set_defaults(command=_judge)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _speech(arguments: argparse.Namespace, recipe: Recipe) -> None:
    from voicebox import speech

    def report(number: int, seconds: float) -> None:
        _say(f"pack {number}: {seconds / 3600:.2f} of {recipe.speech.hours:g} hours are there")

    speech.make(recipe.speech, recipe.seed, arguments.out / "speech", arguments.workers, report)


def _flow(arguments: argparse.Namespace, recipe: Recipe) -> None:
    from ishowtts.engines.f5.checkpoint import read_vocab
    from ishowtts.engines.voices.shelf import f5_tts_data
    from voicebox import training
    from voicebox.corpus import Corpus
    from voicebox.device import device_of
    from voicebox.flow import FlowTraining
    from voicebox.utterances import Utterances

    device = device_of(arguments.device)
    vocab = read_vocab(f5_tts_data("infer/examples/vocab.txt"))
    utterances = Utterances(Corpus(arguments.out / "speech"), vocab, device)
    _say(str(utterances))
    flow = FlowTraining(recipe.flow, utterances, vocab, device, recipe.seed)
    training.run(flow, arguments.out / "flow.safetensors", recipe.flow.steps, arguments.minutes, _say)


def _vocoder(arguments: argparse.Namespace, recipe: Recipe) -> None:
    from voicebox import training
    from voicebox.corpus import Corpus
    from voicebox.device import device_of
    from voicebox.vocoder import VocoderTraining

    corpus = Corpus(arguments.out / "speech")
    waves = [corpus.wave(clip) for clip in corpus.clips]
    vocoder = VocoderTraining(recipe.vocoder, waves, device_of(arguments.device), recipe.seed)
    training.run(vocoder, arguments.out / "vocoder.safetensors", recipe.vocoder.steps, arguments.minutes, _say)


if __name__ == "__main__":
    sys.exit(main())
