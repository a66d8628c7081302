"""Parses the command line and runs one command. Exit status: 0 done, 1 failed, 2 wrong usage or configuration."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ishowtts import DEFAULT_CONFIG, __version__
from ishowtts.errors import ConfigError, IShowError
from ishowtts.util.logs import tell

_CONTROLS: Mapping[str, str] = {
    "skip": "end the current line",
    "stop": "end the current line and all waiting lines",
    "pause": "stop speech until `resume`; lines wait",
    "resume": "continue speech after `pause`",
    "mute": "play lines without sound until `unmute`",
    "unmute": "play lines with sound again",
    "volume": "set the volume, or print it",
    "voice": "set the voice of lines that name none, or print it",
    "replay": "speak the last line again",
    "cancel": "end the line with this id, or all lines of an author, whether they wait or are being spoken",
    "reload": "apply the changed configuration, and show which of its changes need a restart",
}
COMMANDS: Mapping[str, str] = {
    "run": "run the daemon (systemd starts this)",
    "say": "send a line over MQTT and wait for its outcome",
    "render": "have an appliance speak a text into a sound file",
    "gateway": "run the gateway: a web page, an API, metrics, and speech for other programs (systemd starts this)",
    "status": "show what the appliance does now: state, alerts, volume, queue, engine, figures",
    "top": "show continuously what appliances do, in this terminal; keys for skip, pause, mute and volume",
    **_CONTROLS,
    "read": "show what would be spoken of a text, without speaking it",
    "history": "show the last lines and their outcomes",
    "check": "check the configuration and its files, and show what differs from the default",
    "doctor": "examine installation, daemon, alerts, broker, weights, sound, board and CUDA; names fixes",
    "fetch": "get the weights of a voice-cloning model and check them; --list shows the models",
    "voices": "list, add, remove and try voices",
    "chimes": "list the chimes that lines can name",
    "devices": "list the sound devices of this machine; --test plays a tone",
    "backup": "write queue, voices, chimes and configuration into one archive, while the daemon runs",
    "restore": "put back what a backup has; what is there now is moved aside",
    "ha": "show or remove the message by which Home Assistant finds the appliance",
    "forget": "remove what an appliance that is gone has left at the broker",
    "clocks": "lock the clocks with jetson_clocks, or restore them",
    "bench": "for developers: measure the F5 engine and compare it with upstream",
}
"""Each command, and what it does. The module of a command is imported only if the command runs."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CONFIG_VARIABLE = "ISHOWTTS_CONFIG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = _command_first(sys.argv[1:] if argv is None else list(argv))
    try:
        arguments = _parsed(words)
        status: int = arguments.command(arguments)
        if sys.stdout is not None:  # it may be closed, as after `>&-`
            sys.stdout.flush()
    except ConfigError as error:
        for problem in error.problems:
            tell(problem)
        return 2
    except IShowError as error:
        tell(f"ishowtts: {error}")
        return 1
    except PermissionError as error:
        # Any command may meet the daemon's private files.
        tell(f"ishowtts: {error.filename} cannot be opened by this user; run this command with sudo")
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        full = error.errno in _FULL and error.filename is None
        if full:
            tell(f"ishowtts: the output cannot be written ({error.strerror}); redirect it elsewhere")
        elif not isinstance(error, BrokenPipeError):  # its reader has gone
            raise
        _drop_output()
        return 1
    return status


def _drop_output() -> None:
    """Write no more to stdout. Without this, Python would report the fault again when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed(words: list[str]) -> argparse.Namespace:
    """Parse the words. A text without quotes may have options between its words."""
    top = parser(words[:1])
    arguments, rest = top.parse_known_args(words)
    if not rest:
        return arguments
    text = getattr(arguments, "text", None)
    if not isinstance(text, list):
        top.error(f"unrecognized arguments: {' '.join(rest)}; `ishowtts {words[0]} --help` shows what it takes")
    if any(word.startswith("-") for word in rest):
        top.error(f"unrecognized arguments: {' '.join(rest)}; put a text into quotes if they belong to it")
    text += rest
    return arguments


def _command_first(words: list[str]) -> list[str]:
    """Move a `--config FILE` that stands before the command behind it, where the command's own parser reads it."""
    count = 2 if words[:1] == ["--config"] else 1 if words and words[0].startswith("--config=") else 0
    return words[count : count + 1] + words[:count] + words[count + 1 :] if count < len(words) else words


def parser(wanted: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Build the parser.

    Args:
        wanted: Commands whose options are known. The others are listed with what they do, and not imported.
    """
    top = argparse.ArgumentParser(prog="ishowtts", description="Speaks text lines that arrive over MQTT.")
    top.add_argument("--version", action="version", version=f"ishowtts {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        default=os.environ.get(_CONFIG_VARIABLE) or None,
        metavar="FILE",
        help=f"configuration file (default: ${_CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )
    for name, does in COMMANDS.items():
        if name in wanted:
            if name in _CONTROLS:
                import_module("ishowtts.cli.control").add(commands, common, name)
            else:
                import_module(f"ishowtts.cli.{name}").add(commands, common)
            commands.choices[name].description = f"{does[0].upper()}{does[1:]}."
        else:
            absent = name == "bench" and find_spec("ishowtts_bench") is None
            commands.add_parser(name, help=f"{does} (not installed here)" if absent else does)
    return top
