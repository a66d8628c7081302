"""Argument types of the benches, for argparse. Each converts a word to a value, or raises one sentence."""

from __future__ import annotations

import argparse
from pathlib import Path

from ishowtts.cli.argument_types import output_file
from ishowtts.limits import NFE_STEP

RANDOM_MODELS = ("tiny", "small", "base")
"""Values of `--model` for random weights: the sizes of `random_checkpoint`, without its import of torch."""


def picture(word: str) -> Path:
    """A picture file that will be written."""
    if Path(word).suffix not in (".png", ".svg"):
        raise argparse.ArgumentTypeError("must be a .png or .svg file")
    return output_file(word)


def folder(word: str) -> Path:
    """A folder that exists or can be created."""
    path = Path(word)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder; name another one")
    return path


def evaluations(word: str) -> int:
    """A number of evaluations (NFE) that the engine accepts."""
    value = whole(word)
    low, high = NFE_STEP
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be {low} to {high}")
    return value


def several_evaluations(words: str) -> tuple[int, ...]:
    """Numbers of evaluations, separated by commas."""
    return tuple(evaluations(word) for word in words.split(","))


def none_or_more(word: str) -> int:
    """0 or more."""
    value = whole(word)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def positive(word: str) -> int:
    """1 or more."""
    value = whole(word)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def whole(word: str) -> int:
    """A whole number."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number") from None


def length(word: str) -> float:
    """Seconds of speech."""
    try:
        value = float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds") from None
    if not 0.5 <= value <= 120:
        raise argparse.ArgumentTypeError("must be 0.5 to 120 seconds")
    return value


def reference(word: str) -> float:
    """Seconds of a reference clip, at most as many as the engine accepts."""
    try:
        value = float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of seconds") from None
    if not 1 <= value <= 15:
        raise argparse.ArgumentTypeError("must be 1 to 15 seconds")
    return value


def lengths(words: str) -> tuple[float, ...]:
    """Seconds of speech, separated by commas."""
    return tuple(length(word) for word in words.split(","))
