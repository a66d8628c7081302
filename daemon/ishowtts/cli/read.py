"""`ishowtts read`: shows the text that an engine would be given to speak."""

from __future__ import annotations

import argparse
import logging
import sys

from ishowtts.cli.common import Commands, print_json, read_config
from ishowtts.engines import build
from ishowtts.engines.voices.voice_library import language_lookup, open_voice_library
from ishowtts.errors import SynthesisError
from ishowtts.text import TextReader, is_speakable


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("read", parents=[common])
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--voice", metavar="VOICE", help="voice that would speak it (default: the configured one)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0; 1 if there is nothing to speak, or if the pronunciation file has a fault."""
    logging.getLogger("ishowtts").addHandler(logging.NullHandler())  # a fault is printed below, once
    settings = read_config(arguments)
    library, default = open_voice_library(settings), settings.engine.f5.default_voice
    if arguments.voice is not None:
        library.find(arguments.voice, default)
    reader = TextReader(
        settings.text.pronunciations,
        language_lookup(settings, build.choose_engine(settings).kind, library),
        settings.text.normalise,
        default_voice=default,
        decimal=settings.text.decimal,
    )
    read_out = reader.read(arguments.text, arguments.voice)
    if arguments.json:
        print_json({"text": arguments.text, "voice": arguments.voice, "read": read_out, "fault": reader.fault})
    else:
        print(read_out)
    if reader.fault:
        print(f"ishowtts: {reader.fault}", file=sys.stderr)
        return 1
    if not is_speakable(read_out):
        raise SynthesisError("the text contains nothing that can be spoken")
    return 0
