"""`ishowtts render TEXT --out FILE`: has an appliance speak a text into a file, over MQTT.

Exit status: 0 the file is complete, 1 there is none, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ishowtts.cli.appliance_view import connect
from ishowtts.cli.common import Commands, language_tag, number, print_json, read_config, root_topic, text_of
from ishowtts.cli.remote_render import RemoteRender
from ishowtts.cli.sound_output import STDOUT, SoundOutput, format_of
from ishowtts.errors import ConfigError
from ishowtts.limits import NAME, RESERVED_NAMES, SPEED
from ishowtts.model import SoundFormat
from ishowtts.util.logs import visible

if TYPE_CHECKING:
    from ishowtts.config import Config
    from ishowtts.mqtt.renders.render_parts import RenderEnd, RenderHead

_USUAL_WAIT_S, _MAX_WAIT_S = 60.0, 3600.0


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("render", parents=[common])
    parser.add_argument(
        "text", nargs="+", metavar="TEXT", help="words to speak, with or without quotes; - reads standard input"
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        help="the file; its ending names the format: .wav, .flac, .opus, .ogg, .mp3, .pcm, .raw (-: WAV on stdout)",
    )
    parser.add_argument("--format", choices=[each.value for each in SoundFormat], help="another format than the ending")
    parser.add_argument("--device", metavar="NAME", help="name of another appliance at the same broker")
    parser.add_argument("--voice", help="one of `ishowtts voices`")
    parser.add_argument("--language", type=language_tag, metavar="TAG", help="language of the text, as in de or pt-BR")
    parser.add_argument("--speed", type=_speed, metavar="N", help=f"{SPEED[0]:g} to {SPEED[1]:g}")
    parser.add_argument(
        "--wait", type=_seconds, default=_USUAL_WAIT_S, metavar="SECONDS", help="for the first sound (default: 60)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(command=run)


def _speed(written: str) -> float:
    return _bounded(written, *SPEED, "a speed")


def _seconds(written: str) -> float:
    return _bounded(written, 0.1, _MAX_WAIT_S, "a number of seconds")


def _bounded(written: str, low: float, high: float, what: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{written!r} is not {what} from {low:g} to {high:g}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the file is complete."""
    settings = read_config(arguments)
    text = text_of(arguments.text)
    if settings.mqtt.protocol != 5:
        raise ConfigError(["ishowtts render needs MQTT 5, and mqtt.protocol is 3.1.1; set it to 5"])
    sound_format = SoundFormat(arguments.format) if arguments.format else format_of(arguments.out)
    root = _root(settings, arguments.device)
    fields = {name: getattr(arguments, name) for name in ("voice", "language", "speed")}
    with (
        _interrupted_by_signals(),
        SoundOutput(arguments.out, sound_format) as output,
        connect(settings, root) as client,
    ):
        request = RemoteRender(client, settings.mqtt.prefix, root)
        head, end = request.render(text, output, arguments.wait, **fields)
        output.finish()
    to_stdout = arguments.out == STDOUT
    if arguments.json and not to_stdout:
        print_json(
            {"file": arguments.out, "format": sound_format.value, "rate_hz": head.rate_hz, **json.loads(end.payload())}
        )
    else:
        print(visible(_sentence(arguments.out, head, end)), file=sys.stderr if to_stdout else sys.stdout)
    return 0


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP act as Ctrl-C does: the render is cancelled, and no part of a file stays."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores SIGHUP
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _root(settings: Config, device: str | None) -> str:
    if device is None:
        return root_topic(settings)
    if not NAME.fullmatch(device) or device in RESERVED_NAMES:
        raise ConfigError([f"ishowtts render: {device!r} is not the name of an appliance (a-z, 0-9, _ and -)"])
    return f"{settings.mqtt.prefix}/{device}"


def _sentence(out: str, head: RenderHead, end: RenderEnd) -> str:
    """What was written, for a person."""
    where = "stdout" if out == STDOUT else out
    speed = "from the cache" if end.cached else f"RTF {number(end.rtf, 3) or 'unknown'}"
    engines = ", ".join(end.engines) or end.engine
    figures = [f"{number(end.audio_s, 2)} s of speech at {head.rate_hz} Hz", f"by {engines} as {end.voice}", speed]
    return f"wrote {where}: {', '.join(figures)}, waited {number(end.queue_s, 2)} s"
