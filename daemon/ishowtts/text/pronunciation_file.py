"""The file of pronunciations: read and checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import re2
import yaml

from ishowtts.errors import OperatorFileError
from ishowtts.limits import NAME
from ishowtts.text.cleaning import clean
from ishowtts.text.pronunciations import Pronunciation, Pronunciations, fold
from ishowtts.text.scripts import base
from ishowtts.util import strict_yaml
from ishowtts.util.live_file import read_text
from ishowtts.util.strict_yaml import StrictYamlError

MOST_BYTES = 65_536
MOST_ENTRIES = 1000
MOST_PATTERNS = 100
_MOST_CHARS = {"say": 100, "pattern": 200, "as": 200, "language": 35, "voice": 64}
_EXAMPLE = 'write `- {say: "SQL", as: "sequel"}`, one a line'
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def read(path: Path) -> Pronunciations:
    """Read a file of pronunciations. Raises OperatorFileError with the first thing that is wrong."""
    text = read_text(path, MOST_BYTES)
    try:
        node = strict_yaml.compose(text)
    except StrictYamlError as error:
        where = f"{path}, line {error.line}" if error.line else str(path)
        raise OperatorFileError(f"{where}: is not plain YAML: {error.problem}; {_EXAMPLE}") from error
    if node is None:
        return Pronunciations()
    return Pronunciations(tuple(_entries(node, path)))


def _entries(node: yaml.Node, path: Path) -> list[Pronunciation]:
    if not isinstance(node, yaml.SequenceNode):
        raise OperatorFileError(f"{path}, line {node.start_mark.line + 1}: must be a list; {_EXAMPLE}")
    if len(node.value) > MOST_ENTRIES:
        raise OperatorFileError(f"{path} has more than {MOST_ENTRIES} entries; keep the words that are needed")
    entries: list[Pronunciation] = []
    lines: dict[tuple[str, str | None, str | None], int] = {}
    for item in node.value:
        where, line = f"{path}, line {item.start_mark.line + 1}", item.start_mark.line + 1
        values = _values(item, where)
        entry = _entry(values, where)
        same = (entry.written or "/" + values["pattern"], entry.language, entry.voice)
        if same in lines:
            raise OperatorFileError(f"{where}: says again what line {lines[same]} says; keep one of them")
        lines[same] = line
        entries.append(entry)
    if sum(entry.pattern is not None for entry in entries) > MOST_PATTERNS:
        raise OperatorFileError(f"{path} has more than {MOST_PATTERNS} patterns; write plain words with `say`")
    return entries


def _values(item: yaml.Node, where: str) -> dict[str, str]:
    if not isinstance(item, yaml.MappingNode):
        raise OperatorFileError(f"{where}: is no entry; {_EXAMPLE}")
    values: dict[str, str] = {}
    for key, value in item.value:
        name = str(key.value)[:40]
        if name not in _MOST_CHARS:
            raise OperatorFileError(f"{where}: unknown key {name!r}; known here: {', '.join(_MOST_CHARS)}")
        if not isinstance(value, yaml.ScalarNode):
            raise OperatorFileError(f"{where}: {name} must be text; {_EXAMPLE}")
        if len(value.value) > _MOST_CHARS[name]:
            raise OperatorFileError(f"{where}: {name} is longer than {_MOST_CHARS[name]} characters; shorten it")
        values[name] = value.value
    return values


def _entry(values: dict[str, str], where: str) -> Pronunciation:
    if ("say" in values) == ("pattern" in values):
        raise OperatorFileError(f"{where}: needs either `say` or `pattern`; {_EXAMPLE}")
    if "as" not in values:
        raise OperatorFileError(f"{where}: needs `as`, which says how it is spoken; {_EXAMPLE}")
    language, voice = values.get("language"), values.get("voice")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise OperatorFileError(f"{where}: language must be a tag such as en or zh, and is {language!r}")
    if voice is not None and not NAME.fullmatch(voice):
        raise OperatorFileError(f"{where}: voice must be the name of one (a-z, 0-9, _ and -), and is {voice!r}")
    written = fold(clean(values.get("say", "")))
    if "say" in values and not written:
        raise OperatorFileError(f"{where}: say is empty; name a word")
    pattern = _compiled(values["pattern"], values["as"], where) if "pattern" in values else None
    spoken = clean(values["as"])
    return Pronunciation(written, pattern, spoken, base(language) if language else None, voice)


def _compiled(pattern: str, spoken: str, where: str) -> Any:
    # RE2 takes time in proportion to the text whatever the pattern, and bounded memory: an operator's slip cannot
    # hang the appliance. Its price: no look-around and no back-reference in a pattern.
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        shown = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise OperatorFileError(
            f"{where}: the pattern {pattern!r} is not understood ({shown}); see RE2's syntax, or use `say`"
        ) from error
    if any(int(group) > compiled.groups for group in re.findall(r"\\([0-9])", spoken)):
        raise OperatorFileError(f"{where}: `as` names a group that the pattern {pattern!r} does not have")
    return compiled
