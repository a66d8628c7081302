"""`train-voice`: makes speech, trains both parts, writes the checkpoint folder and has machines listen to it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ishowtts.errors import IShowError
from voice_training import commands
from voice_training import recipe as recipes


def main(words: list[str] | None = None) -> int:
    """Run one command; a mistake is one sentence and 1, Ctrl-C is 130."""
    arguments = _parser().parse_args(words)
    try:
        arguments.command(arguments, recipes.read(arguments.recipe))
    except IShowError as error:
        return _told(str(error), 1)
    except OSError as error:
        where = error.filename or arguments.out
        return _told(f"{where} cannot be used ({error.strerror}); name a folder where you may write, with room", 1)
    except KeyboardInterrupt:
        return _told("ended; what is in the folder stays, and the same command goes on", 130)
    return 0


def _told(sentence: str, status: int) -> int:
    print(f"train-voice: {sentence}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train-voice", description="Train a small F5 and a small Vocos.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("recipe", type=Path, metavar="RECIPE", help="a file of scripts/train-voice/recipes")
    common.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for speech, states, logs, the voice")
    parts = parser.add_subparsers(required=True, metavar="WHAT")

    making = parts.add_parser("speech", parents=[common], help="make the speech to learn from; goes on where it ended")
    making.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    making.set_defaults(command=commands.make_speech)

    for name, text, command in (
        ("train", "train both, and write the checkpoint folder; goes on where it ended", commands.train_both),
        ("vocoder", "train the vocoder; goes on where it ended", commands.train_vocoder),
        ("flow", "train the transformer; goes on where it ended", commands.train_flow),
    ):
        training = parts.add_parser(name, parents=[common], help=text)
        training.add_argument("--device", choices=("cpu", "cuda"), default=None, help="default: CUDA where it works")
        training.add_argument("--minutes", type=float, default=None, metavar="N", help="end then, saved")
        training.set_defaults(command=command)

    parts.add_parser("export", parents=[common], help="write the checkpoint folder FOLDER/voice").set_defaults(
        command=commands.export_voice
    )

    listening = parts.add_parser(
        "evaluate", aliases=["judge"], parents=[common], help="speak held-out sentences and measure how well"
    )
    listening.add_argument("--sentences", type=_positive, default=20, metavar="N", help="in each language")
    listening.add_argument("--speakers", type=_positive, default=3, metavar="N", help="of those that it learnt from")
    listening.add_argument("--unseen", type=int, default=0, metavar="N", help="of those that it never heard, up to 4")
    listening.add_argument("--nfe", type=_steps, default=(32, 16, 7, 6, 5), metavar="N,N,…", help="evaluations")
    listening.add_argument("--threads", type=_positive, default=2, metavar="N", help="for Kokoro and the judges")
    listening.set_defaults(command=commands.evaluate_voice)

    parts.add_parser("plot", parents=[common], help="draw what the logs hold to FOLDER/training.png").set_defaults(
        command=commands.plot_logs
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _steps(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
