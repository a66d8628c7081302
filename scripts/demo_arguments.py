"""The command line of the demo. It needs only Python's standard library, so that `--help` installs nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

_DESCRIPTION = (
    "Runs the whole appliance on this machine: sets it up (the first time: minutes and 5 GB), starts a private broker "
    "and the daemon, publishes a line over MQTT and plays the sound. Without a sound card it writes a WAV file. While "
    "it runs, a page in the browser shows everything, and other programs can publish lines too; it prints how."
)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses and checks the command line. Ends the program with status 2 if it is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=_DESCRIPTION)
    parser.add_argument(
        "text",
        nargs="?",
        help="speak this text, or this line object in JSON, and exit; without it, read lines from the keyboard",
    )
    parser.add_argument("--wav", type=Path, help="write the sound to this file, and replace it if it exists")
    parser.add_argument(
        "--engine",
        choices=["auto", "f5", "hibari", "espeak"],
        default="auto",
        help="who speaks: hibari (the natural voice), espeak (robotic), or f5, which needs --model (default: auto: "
        "f5 with --model, else hibari)",
    )
    parser.add_argument(
        "--model",
        metavar="tiny|DIR",
        help="speak with f5: tiny is a small model with random weights, which only hums; DIR is a folder of weights",
    )
    arguments = parser.parse_args(words)
    if arguments.model and arguments.engine in ("hibari", "espeak"):
        parser.error(f"--model does not work with --engine {arguments.engine}")
    if arguments.engine == "f5" and not arguments.model:
        parser.error(
            "--engine f5 needs weights: --model tiny hums, to try the engine; `.venv/bin/ishowtts fetch --to "
            "f5-weights` gets the official ones for --model f5-weights"
        )
    if arguments.model and arguments.model != "tiny" and not Path(arguments.model).is_dir():
        parser.error(f"--model: there is no folder {arguments.model}")
    if arguments.wav and arguments.wav.suffix != ".wav":
        parser.error(f"--wav needs the name of a .wav file, not {arguments.wav}")
    if arguments.wav and not arguments.wav.resolve().parent.is_dir():
        parser.error(f"--wav: the folder {arguments.wav.resolve().parent} does not exist")
    if arguments.text is not None and not arguments.text.strip():
        parser.error("the text is empty")
    return arguments


if __name__ == "__main__":
    parse(sys.argv[1:])
