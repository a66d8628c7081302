"""Reads and checks the file of pronunciations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import re2
import yaml

from ishowtts.errors import OperatorFileError
from ishowtts.limits import NAME
from ishowtts.text.cleaning import clean
from ishowtts.text.pronunciations import Pronunciation, Pronunciations, lower_case
from ishowtts.text.scripts import base_language
from ishowtts.util import strict_yaml
from ishowtts.util.live_file import read_text
from ishowtts.util.strict_yaml import StrictYamlError

MAX_ENTRIES = 1000
MAX_PATTERNS = 100
_MAX_CHARS = {"say": 100, "pattern": 200, "as": 200, "language": 35, "voice": 64}
_EXAMPLE = 'write `- {say: "SQL", as: "sequel"}`, one on each line'
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def read(path: Path) -> Pronunciations:
    """Read a file of pronunciations.

    Raises:
        OperatorFileError: With the first fault in it, and the number of the others.
    """
    entries, found = _parsed(path)
    if len(found) > 1:
        raise OperatorFileError(f"{found[0]} (1 of {len(found)} faults: `ishowtts check` lists them)")
    if found:
        raise OperatorFileError(found[0])
    return Pronunciations(tuple(entries))


def faults(path: Path) -> list[str]:
    """List what is wrong with a file of pronunciations, one sentence for each faulty entry."""
    try:
        return _parsed(path)[1]
    except OperatorFileError as error:
        return [str(error)]


def _parsed(path: Path) -> tuple[list[Pronunciation], list[str]]:
    """The entries without a fault, and a sentence for each other one. Raises OperatorFileError for the whole file."""
    text = read_text(path, strict_yaml.MOST_BYTES)
    try:
        node = strict_yaml.compose(text)
    except StrictYamlError as error:
        where = f"{path}, line {error.line}" if error.line else str(path)
        raise OperatorFileError(f"{where}: is not plain YAML: {error.problem}; {_EXAMPLE}") from error
    return ([], []) if node is None else _entries(node, path)


def _entries(node: yaml.Node, path: Path) -> tuple[list[Pronunciation], list[str]]:
    if not isinstance(node, yaml.SequenceNode):
        raise OperatorFileError(f"{path}, line {node.start_mark.line + 1}: must be a list; {_EXAMPLE}")
    if len(node.value) > MAX_ENTRIES:
        raise OperatorFileError(f"{path} has more than {MAX_ENTRIES} entries; keep only words that are needed")
    entries: list[Pronunciation] = []
    found: list[str] = []
    lines: dict[tuple[str, str | None, str | None], int] = {}
    for item in node.value:
        line = item.start_mark.line + 1
        where = f"{path}, line {line}"
        try:
            values = _values(item, where)
            entry = _entry(values, where)
        except OperatorFileError as error:
            found.append(str(error))
            continue
        key = (entry.written or "/" + values["pattern"], entry.language, entry.voice)
        if key in lines:
            found.append(f"{where}: repeats what line {lines[key]} says; keep one of them")
            continue
        lines[key] = line
        entries.append(entry)
    if sum(entry.pattern is not None for entry in entries) > MAX_PATTERNS:
        found.append(f"{path}: has more than {MAX_PATTERNS} patterns; write plain words with `say`")
    return entries, found


def _values(item: yaml.Node, where: str) -> dict[str, str]:
    if not isinstance(item, yaml.MappingNode):
        raise OperatorFileError(f"{where}: is not an entry; {_EXAMPLE}")
    values: dict[str, str] = {}
    for key, value in item.value:
        name = str(key.value)[:40]
        if name not in _MAX_CHARS:
            raise OperatorFileError(f"{where}: unknown key {name!r}; known keys: {', '.join(_MAX_CHARS)}")
        if not isinstance(value, yaml.ScalarNode):
            raise OperatorFileError(f"{where}: {name} must be text; {_EXAMPLE}")
        if len(value.value) > _MAX_CHARS[name]:
            raise OperatorFileError(f"{where}: {name} is longer than {_MAX_CHARS[name]} characters; shorten it")
        values[name] = value.value
    return values


def _entry(values: dict[str, str], where: str) -> Pronunciation:
    if ("say" in values) == ("pattern" in values):
        raise OperatorFileError(f"{where}: needs either `say` or `pattern`; {_EXAMPLE}")
    if "as" not in values:
        raise OperatorFileError(f"{where}: needs `as`, the text that is spoken; {_EXAMPLE}")
    language, voice = values.get("language"), values.get("voice")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise OperatorFileError(f"{where}: language must be a tag such as en or zh, not {language!r}")
    if voice is not None and not NAME.fullmatch(voice):
        raise OperatorFileError(f"{where}: voice must be the name of a voice (a-z, 0-9, _ and -), not {voice!r}")
    written = lower_case(clean(values.get("say", "")))
    if "say" in values and not written:
        raise OperatorFileError(f"{where}: say is empty; write a word")
    pattern = _compiled(values["pattern"], values["as"], where) if "pattern" in values else None
    spoken = clean(values["as"])
    return Pronunciation(written, pattern, spoken, base_language(language) if language else None, voice)


def _compiled(pattern: str, spoken: str, where: str) -> Any:
    # With any pattern, RE2 takes time in proportion to the text and bounded memory: a mistake of the operator cannot
    # hang the appliance. The price: a pattern has no look-around and no back-reference.
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise OperatorFileError(
            f"{where}: the pattern {pattern!r} cannot be compiled ({shown}); see RE2's syntax, or use `say`"
        ) from error
    if any(int(group) > compiled.groups for group in re.findall(r"\\([0-9])", spoken)):
        raise OperatorFileError(f"{where}: `as` names a group that the pattern {pattern!r} does not have")
    return compiled
