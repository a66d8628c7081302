"""`train-voice`: makes speech, trains both models, writes the checkpoint folder and evaluates the voice."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ishowtts.errors import IShowError
from voice_training import commands
from voice_training import recipe as recipes


def main(words: list[str] | None = None) -> int:
    """Run one command. An error prints one sentence and returns 1; Ctrl-C returns 130."""
    arguments = _parser().parse_args(words)
    try:
        arguments.command(arguments, recipes.read(arguments.recipe))
    except IShowError as error:
        return _fail(str(error), 1)
    except OSError as error:
        where = error.filename or arguments.out
        return _fail(f"{where} cannot be used ({error.strerror}); name a writable folder with free space", 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the files in the folder stay, and the same command continues", 130)
    return 0


def _fail(sentence: str, status: int) -> int:
    print(f"train-voice: {sentence}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train-voice", description="Train a small F5 and a small Vocos.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("recipe", type=Path, metavar="RECIPE", help="a file of scripts/train-voice/recipes")
    common.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for speech, states, logs, the voice")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    speech = subparsers.add_parser("speech", parents=[common], help="make the training speech, or continue to")
    speech.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    speech.set_defaults(command=commands.generate_speech)

    for name, text, command in (
        ("train", "train both models, or continue to, and write the checkpoint folder", commands.train_both),
        ("vocoder", "train the vocoder, or continue to", commands.train_vocoder),
        ("flow", "train the transformer, or continue to", commands.train_flow),
    ):
        training = subparsers.add_parser(name, parents=[common], help=text)
        training.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: CUDA if it works")
        training.add_argument("--minutes", type=float, default=None, metavar="N", help="stop after N minutes and save")
        training.set_defaults(command=command)

    subparsers.add_parser("export", parents=[common], help="write the checkpoint folder FOLDER/voice").set_defaults(
        command=commands.export_voice
    )

    evaluation = subparsers.add_parser(
        "evaluate", aliases=["judge"], parents=[common], help="speak held-out sentences and measure the result"
    )
    evaluation.add_argument("--sentences", type=_positive, default=20, metavar="N", help="in each language")
    evaluation.add_argument("--speakers", type=_positive, default=3, metavar="N", help="speakers of the training")
    evaluation.add_argument("--unseen", type=int, default=0, metavar="N", help="speakers not of the training, up to 4")
    evaluation.add_argument("--nfe", type=_steps, default=(32, 16, 7, 6, 5), metavar="N,N,…", help="evaluations")
    evaluation.add_argument("--threads", type=_positive, default=2, metavar="N", help="for Kokoro and the metrics")
    evaluation.set_defaults(command=commands.evaluate_voice)

    subparsers.add_parser("plot", parents=[common], help="plot the logs to FOLDER/training.png").set_defaults(
        command=commands.plot_logs
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _steps(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
