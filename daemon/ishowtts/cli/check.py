"""`ishowtts check`: says whether the configuration is right, and what differs from the default.

It also examines the files that the configuration names, and shows a volume that was set over MQTT.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ishowtts.cli.common import Commands, print_json, read_config, root_topic
from ishowtts.cli.config_files import examine_files, secret_files
from ishowtts.cli.findings import Finding
from ishowtts.config import DEFAULT_PATH, Config, load_valid_part
from ishowtts.errors import ConfigError
from ishowtts.util.logs import visible
from ishowtts.util.user_rights import as_owner_of

if TYPE_CHECKING:
    from ishowtts.engines.engine_choice import EngineChoice

_MAX_LIST_CHARS = 70
_TIME_OF_DAY = re.compile(r"\d\d:\d\d")


@dataclass(frozen=True)
class ConfigFault:
    """One fault. `line` is that in the configuration file; `None` for a fault of another file."""

    key: str | None
    line: int | None
    message: str


class _Dumper(yaml.SafeDumper):
    """Puts every time of day into quotes. PyYAML does that for 22:00 and not for 07:00."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _TIME_OF_DAY.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser("check", parents=[common])
    parser.add_argument("--all", action="store_true", help="show every value in use, as YAML")
    parser.add_argument("--json", action="store_true", help="as JSON, with every value and the faults as objects")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if the configuration and the files that it names are right, else 2."""
    source = arguments.config or DEFAULT_PATH
    try:
        settings = read_config(arguments)
    except ConfigError as error:
        return _show_faulty(error.problems, source, as_json=arguments.json)
    files = list(examine_files(settings))
    faults = [finding for finding in files if finding.verdict == "fault"]
    derived = _derived(settings)
    values = settings.model_dump(mode="json")
    for key, secret_file in secret_files(settings).items():
        if secret_file is not None and "/" not in str(secret_file) and not secret_file.exists():
            *sections, last = key.split(".")
            reduce(getitem, sections, values)[last] = "(not shown)"  # it may be the secret itself
    changed = dict(_changes(values, Config().model_dump(mode="json")))
    if arguments.json:
        print_json(
            {
                "config": values,
                "derived": derived,
                "changed": {key: {"value": value, "default": default} for key, (value, default) in changed.items()},
                "files": [asdict(finding) for finding in files],
                "faults": [asdict(ConfigFault(finding.part, None, _sentence(finding))) for finding in faults],
            }
        )
        return 2 if faults else 0
    verdict = _verdict(len(faults), source if arguments.config or source.exists() else None)
    print(f"# {verdict}" if arguments.all else verdict)  # with --all, the output is YAML
    if arguments.all:
        print(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True), end="", flush=True)
    else:
        _print_changes(changed)
    for name, value in derived.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        shown = ", ".join(value) if isinstance(value, list) else shown
        print(f"# {name}: {visible(shown)}")
    for finding in files:
        if finding.verdict != "fault":
            fix = f"; {finding.fix}" if finding.fix else ""
            print(visible(f"# {finding.part}: {finding.verdict}: {finding.detail}{fix}"), flush=True)
    if faults:
        raise ConfigError([_sentence(finding) for finding in faults])
    return 0


def _show_faulty(problems: list[str], source: Path, *, as_json: bool) -> int:
    """Show the faults of a configuration, and those of the files that its valid keys name."""
    valid = load_valid_part(source)
    files = [] if valid is None else [found for found in examine_files(valid[0]) if found.part not in valid[1]]
    faults = [finding for finding in files if finding.verdict == "fault"]
    if as_json:
        of_files = [ConfigFault(finding.part, None, _sentence(finding)) for finding in faults]
        told = [_config_fault(problem, source) for problem in problems] + of_files
        print_json({"files": [asdict(finding) for finding in files], "faults": [asdict(fault) for fault in told]})
        return 2
    print(_verdict(len(problems) + len(faults), source), flush=True)
    if valid is None and source.exists():
        print("# the files that it names are examined once this is fixed", flush=True)
    raise ConfigError([*problems, *(_sentence(finding) for finding in faults)])


def _verdict(faults: int, source: Path | None) -> str:
    where = f"in {source}" if source else "in the defaults"
    return f"no faults {where}" if not faults else f"{faults} fault{'s' if faults > 1 else ''} {where}"


def _sentence(finding: Finding) -> str:
    if finding.detail.startswith("names "):  # as `run` and `say` write it
        return f"{finding.part} {finding.detail}; {finding.fix}"
    return f"{finding.part}: {finding.detail}; {finding.fix}"


def _config_fault(problem: str, source: Path) -> ConfigFault:
    """Take a sentence of the loader apart: `FILE:LINE: KEY: MESSAGE`, or `FILE: MESSAGE`."""
    rest = problem.removeprefix(str(source))
    if match := re.match(r":([0-9]+): (?:([A-Za-z0-9_.-]+): )?", rest):
        return ConfigFault(match[2], int(match[1]), rest[match.end() :])
    return ConfigFault(None, None, rest.removeprefix(": "))


def _derived(settings: Config) -> dict[str, Any]:
    """What follows from the configuration, from the weights that are there and from what was set over MQTT."""
    from ishowtts.engines.engine_choice import choose_engine

    # Nothing secret is printed: the password is in a file, which is named here and whose content is never shown.
    chosen = choose_engine(settings)
    derived: dict[str, Any] = {
        "root_topic": root_topic(settings),
        "engine": chosen.kind,
        "engine_why": _why(chosen),
        "engines": list(chosen.order),
        "volume": settings.audio.volume,
    }
    database = settings.inbox_file
    with as_owner_of(settings.state_dir):
        if not database.exists():
            return derived
        # Imported here: most of it is not needed for a first look at a configuration.
        from ishowtts.inbox import read_setting
        from ishowtts.playback.volume_gain import stored_volume

        volume = stored_volume(read_setting(database, "volume"))
        if volume is not None:
            why = f"set over MQTT, which wins over audio.volume ({settings.audio.volume})"
            derived |= {"volume": volume, "volume_why": why}
        if voice := read_setting(database, "voice"):
            configured = settings.engine.f5.default_voice
            why = f"set over MQTT, which wins over engine.f5.default_voice ({configured})"
            derived |= {"voice": voice, "voice_why": why}
        for name, command in {"muted": "unmute", "paused": "resume"}.items():
            if read_setting(database, name) == "1":
                derived |= {name: True, f"{name}_why": f"set over MQTT; the command {command} ends it"}
    return derived


def _why(chosen: EngineChoice) -> str:
    """Why this engine was chosen, with the exact problem of its weights; the fix belongs to the fault."""
    # The natural voice has a fault of its own, unless the choice is about nothing else.
    whole = chosen.problem if chosen.kind == "hibari" else chosen.f5_problem
    problem = (whole or "").rpartition("; ")[0]
    return chosen.why if not problem or problem in chosen.why else f"{chosen.why}: {problem}"


def _changes(values: Any, defaults: Any, key: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each key whose value differs from the default, with both."""
    if isinstance(values, Mapping) and isinstance(defaults, Mapping) and (defaults or not key):
        for name, value in values.items():
            yield from _changes(value, defaults.get(name), f"{key}.{name}" if key else name)
    elif values != defaults:
        yield key, (values, defaults)


def _print_changes(changed: Mapping[str, tuple[Any, Any]]) -> None:
    if not changed:
        print("every value is the default; --all shows them")
        return
    print("differs from the default (--all shows every value):")
    for key, (value, default) in changed.items():
        print(visible(f"  {key}: {_short(value)} (default {_short(default)})"))


def _short(value: Any) -> str:
    """A value on one line, as YAML writes it. A long list is counted."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6)
    text = text.removesuffix("\n...\n").strip()
    return f"{len(value)} entries" if isinstance(value, list | dict) and len(text) > _MAX_LIST_CHARS else text
