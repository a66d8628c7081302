"""Loads YAML into a validated configuration. Reports every fault at once, with file, line and key."""

from __future__ import annotations

import difflib
import errno
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from ishowtts.config.schema import Config, why
from ishowtts.errors import ConfigError, NamedFileError
from ishowtts.util.files import read_bounded

_MAX_CONFIG_BYTES = 1 << 20
_MOST_PASSES = 5  # a fault may show only after another one is gone
_FOLDERS = {("state_dir",), ("cache_dir",)}  # the defaults of other paths are derived from them
_WHOLE, _NUMBER, _FLAG = "must be a whole number", "must be a number", "must be true or false"
_SECTION = "must be a section with keys of its own, as in config/ishowtts.yaml"
_KINDS = {
    "bool_parsing": _FLAG, "bool_type": _FLAG, "int_parsing": _WHOLE, "int_type": _WHOLE, "int_from_float": _WHOLE,
    "float_parsing": _NUMBER, "float_type": _NUMBER, "finite_number": "must be a finite number",
    "string_type": "must be text; put it into quotes", "path_type": "must be a path",
    "list_type": "must be a list, as in [one, two]", "dict_type": "must be names with values, as in {name: value}",
    "model_type": _SECTION, "model_attributes_type": _SECTION,
}  # fmt: skip
RENAMED_KEYS = {
    "mqtt.neighbour_silence_s": "mqtt.duplicate_guard.silence_s",
    "mqtt.neighbour_away_s": "mqtt.duplicate_guard.retry_s",
}
"""Old names of keys and sections, with the new ones. An old name works for one version, with a warning."""
_NEVER_SHOWN = {
    ("mqtt", "host"),
    ("mqtt", "password_file"),
    ("gateway", "mqtt", "password_file"),
    ("gateway", "http", "token_file"),
}
"""By mistake, a password may be in them."""
_YAML_FIX = "indent with spaces, equally within a section, and put text with : or , or # into quotes"
_PYDANTIC = re.compile(r"^(?:Input|String|List|Dictionary) should (be|have)")


class _ConfigLoader(yaml.SafeLoader):
    """YAML in which `22:00` is text. YAML 1.1 reads it as 1320, a number to the base of 60."""


_ConfigLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$", re.ASCII),
    list("-+0123456789"),
)


def load(path: Path) -> Config:
    """Read and validate a configuration file.

    Raises:
        ConfigError: lists every fault that was found.
    """
    return parse(_read(path), str(path))


def load_valid_part(path: Path) -> tuple[Config, frozenset[str]] | None:
    """Read a faulty configuration without its faulty keys, so that the rest can be examined. Never raises.

    Returns:
        The configuration, with defaults for the faulty keys, and these keys. `None` if it cannot be read, or if a
        folder is faulty that other paths depend on.
    """
    try:
        text = _read(path)
        _, lines = _walk(yaml.compose(text, Loader=_ConfigLoader), str(path), len(text))
        data: Any = yaml.load(text, Loader=_ConfigLoader)  # noqa: S506 - a SafeLoader
    except (ConfigError, yaml.YAMLError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    _apply_renames(data, str(path), lines)
    removed: set[str] = set()
    for _ in range(_MOST_PASSES):
        try:
            return Config.model_validate(data), frozenset(removed)
        except ValidationError as error:
            paths = {_remove(data, fault["loc"]) for fault in error.errors()}
        if () in paths or paths & _FOLDERS:
            return None
        removed |= {_dotted(path) for path in paths}
    return None


def _remove(data: dict[Any, Any], path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Remove the key at a path, or the nearest one that leads there. Returns the path that it had."""
    section: Any = data
    for depth, name in enumerate(path):
        deeper = section.get(name)
        if depth + 1 == len(path) or not isinstance(deeper, dict) or path[depth + 1] not in deeper:
            section.pop(name, None)
            return path[: depth + 1]
        section = deeper
    return ()


def _read(path: Path) -> str:
    """The text of the file. Raises ConfigError."""
    try:
        raw = read_bounded(path, _MAX_CONFIG_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ConfigError([f"{path}: is larger than 1 MiB; this is not a configuration of iShowTTS"]) from error
        raise NamedFileError([f"{path}: cannot be read ({why(error)}); name another file with --config"]) from error
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8"]) from error


def parse(text: str, source: str) -> Config:
    """Validate a configuration given as text; `source` names it in messages."""
    try:
        node = yaml.compose(text, Loader=_ConfigLoader)
        problems, lines = _walk(node, source, len(text))
        data: Any = yaml.load(text, Loader=_ConfigLoader) if not problems else None  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError([f"{where}: is not YAML: {getattr(error, 'problem', None) or error}; {_YAML_FIX}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}: is nested too deeply for a configuration of iShowTTS"]) from error
    if problems:
        raise ConfigError(problems)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError([f"{source}:1: must be a mapping of sections such as `mqtt:` and `audio:`"])
    warnings, problems = _apply_renames(data, source, lines)
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(problems + _sentences(error, source, lines)) from error
    if problems:
        raise ConfigError(problems)
    f5 = config.engine.f5
    if "optimisations" in f5.model_fields_set:
        line = lines[("engine", "f5", "optimisations")]
        warnings.append(f"{source}:{line}: {f5.optimisations.deprecation()}")
    return config.with_warnings(warnings)


Lines = dict[tuple[str | int, ...], int]


def _apply_renames(data: dict[Any, Any], source: str, lines: Lines) -> tuple[list[str], list[str]]:
    """Move the values of renamed keys to their new names. Returns a warning for each, and the faults."""
    warnings: list[str] = []
    problems: list[str] = []
    for old, new in RENAMED_KEYS.items():
        old_path, new_path = tuple(old.split(".")), tuple(new.split("."))
        if old_path not in lines or (section := _section_at(data, old_path[:-1])) is None:
            continue
        value = section.pop(old_path[-1])
        if not section and len(old_path) > 1 and (parent := _section_at(data, old_path[:-2])):
            del parent[old_path[-2]]  # the section may be unknown by now
        place = f"{source}:{lines[old_path]}: {old}"
        if new_path in lines:
            problems.append(f"{place}: is the old name of {new}, which is given too; remove the old one")
            continue
        warnings.append(f"{place}: is now called {new}; rename it, the next version refuses the old name")
        if (target := _section_at(data, new_path[:-1], create=True)) is not None:
            target[new_path[-1]] = value
        for path, line in list(lines.items()):
            if path[: len(old_path)] == old_path:
                lines[new_path + path[len(old_path) :]] = line
    return warnings, problems


def _section_at(data: dict[Any, Any], path: tuple[str, ...], *, create: bool = False) -> dict[Any, Any] | None:
    """The section at a path; `None` if it is absent or not a section. `create` adds an absent or empty one."""
    section = data
    for name in path:
        if create and section.get(name) is None:
            section[name] = {}
        found = section.get(name)
        if not isinstance(found, dict):
            return None
        section = found
    return section


def _walk(node: yaml.Node | None, source: str, chars: int) -> tuple[list[str], Lines]:
    """Find the line number of every key; report keys that are given twice.

    Nine aliases in each of nine levels would grow 400 bytes into 9^9 values. A text without aliases has at most as many
    values as characters.

    Raises:
        ConfigError: aliases make more values than the text has characters.
    """
    problems: list[str] = []
    lines: Lines = {}
    left = chars

    def visit(node: yaml.Node, path: tuple[str | int, ...]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConfigError([f"{source}: its aliases (*name) repeat too much; write the values out"])
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                line = key.start_mark.line + 1
                if name in seen:
                    problems.append(f"{source}:{line}: {_dotted((*path, name))}: is given twice; keep one")
                seen.add(name)
                lines[path + (name,)] = line
                visit(value, (*path, name))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                visit(value, (*path, i))

    if node is not None:
        visit(node, ())
    return problems, lines


def _sentences(error: ValidationError, source: str, lines: Lines) -> list[str]:
    sentences: list[tuple[int, str]] = []
    for fault in error.errors():
        path = tuple(fault["loc"])
        while path and path not in lines:
            path = path[:-1]
        line = lines.get(path, 1)
        if fault["type"] == "extra_forbidden":
            # Half of a device's name in {…}, such as plughw:CARD=UAC2,DEV=0, looks like a key.
            hint = "; text with a comma needs quotes" if "=" in str(path[-1]) else _did_you_mean(path)
            what = f"unknown key{hint}"
        else:
            what = _KINDS.get(fault["type"]) or fault["msg"].removeprefix("Value error, ")
            what = _PYDANTIC.sub(lambda match: f"must {match[1]}", what)
            if what in (_WHOLE, _NUMBER) and type(None) in get_args(_type_at(path)):
                what += " or null"
            what = what.removesuffix(" after validation, not more")
            if fault["input"] is None:
                what = what.removesuffix("; put it into quotes")
            if not isinstance(fault["input"], dict) and path not in _NEVER_SHOWN:
                what += f" (got {_as_written(fault['input'])})"
        sentence = f"{source}:{line}: {_dotted(path) or 'the file'}: {what}"
        if (line, sentence) not in sentences:
            sentences.append((line, sentence))
    return [sentence for _, sentence in sorted(sentences)]


def _as_written(value: Any) -> str:
    """Format a value as YAML writes it, shortened."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value[:80]) if isinstance(value, str) else str(value)[:80]


def _did_you_mean(path: tuple[str | int, ...]) -> str:
    section = _type_at(path[:-1])
    if not _is_section(section):
        return ""
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(sorted(known))}"


def _type_at(path: tuple[str | int, ...]) -> Any:
    """The type of the key at a path; `None` if there is no such key."""
    found: Any = Config
    for part in path:
        if get_origin(found) is dict:
            found = get_args(found)[1]
        elif _is_section(found) and part in found.model_fields:  # a key that has an alias is a plain value
            found = found.model_fields[str(part)].annotation
        else:
            return None
    return found


def _is_section(what: Any) -> bool:
    return isinstance(what, type) and issubclass(what, BaseModel)


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path)
