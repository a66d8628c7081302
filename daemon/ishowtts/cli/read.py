"""`ishowtts read`: what an engine would be given to speak."""

from __future__ import annotations

import argparse
import logging
import sys

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.engines import build
from ishowtts.engines.voices.shelf import language_lookup, open_shelf
from ishowtts.errors import SynthesisError
from ishowtts.text import TextReader, is_speakable


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("read", parents=[common], help="show how a text is read out; nothing is spoken")
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--voice", metavar="VOICE", help="the voice that would speak it (default: the configured one)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """0 where there is something to say; 1 where there is not, or the file of pronunciations is at fault."""
    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # a fault is printed below, once
    settings = read_config(arguments)
    shelf, default = open_shelf(settings), settings.engine.f5.default_voice
    if arguments.voice is not None:
        shelf.find(arguments.voice, default)
    reader = TextReader(
        settings.text.pronunciations,
        language_lookup(settings, build.choose_engine(settings).kind, shelf),
        settings.text.normalise,
        default_voice=default,
    )
    said = reader.read(arguments.text, arguments.voice)
    if arguments.json:
        print_json({"text": arguments.text, "voice": arguments.voice, "read": said, "fault": reader.fault})
    else:
        print(said)
    if reader.fault:
        print(f"ishowtts: {reader.fault}", file=sys.stderr)
        return 1
    if not is_speakable(said):
        raise SynthesisError("the text has nothing to speak in it")
    return 0
