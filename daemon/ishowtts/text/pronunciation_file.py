"""The file of pronunciations: read, checked, and taken up again whenever it changes."""

from __future__ import annotations

import logging
import re
import stat
import threading
import time
from pathlib import Path
from typing import Any

import re2
import yaml

from ishowtts.errors import PronunciationError
from ishowtts.text.cleaning import clean
from ishowtts.text.pronouncing import Entry, Pronunciations, fold
from ishowtts.text.scripts import base

MOST_BYTES = 65_536
MOST_ENTRIES = 1000
MOST_PATTERNS = 100
_MOST_CHARS = {"say": 100, "pattern": 200, "as": 200, "language": 35, "voice": 64}
_EXAMPLE = 'write `- {say: "SQL", as: "sequel"}`, one a line'
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_VOICE = re.compile(r"[a-z0-9_-]{1,64}")
_LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)


class PronunciationFile:
    """The entries of a file that may change at any time; may be used from any thread.

    A fault is logged once for each change of the file, and the entries that were good before stay in force.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._good = Pronunciations()
        self._fault: str | None = None
        self._stamp: object = ()
        self._looked_at = time.monotonic()
        self._look()

    @property
    def fault(self) -> str | None:
        """What is wrong with the file as it was when last looked at, in one sentence."""
        return self._fault

    def current(self) -> Pronunciations:
        """The entries in force; the file is looked at once a second at most."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _LOOK_EVERY_S:
                self._looked_at = now
                self._look()
            return self._good

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._good = read(self._path)
        except PronunciationError as error:
            self._fault = str(error)
            _log.warning("%s; what was read before stays in force", error)
        else:
            self._fault = None
            _log.info("%s: %d pronunciations are in force", self._path, len(self._good.entries))


def read(path: Path) -> Pronunciations:
    """Read a file of pronunciations. Raises PronunciationError with the first thing that is wrong."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PronunciationError(f"{path} is no ordinary file; put one in its place")
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PronunciationError(
            f"{path} cannot be read ({error.strerror}); make it readable, or set text.pronunciations to null"
        ) from error
    if len(raw) > MOST_BYTES:
        raise PronunciationError(f"{path} is larger than {MOST_BYTES // 1024} KiB; keep the words that are needed")
    try:
        # Only the shape is built, never an object; what an alias repeats is not repeated here.
        node = yaml.compose(raw.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise PronunciationError(f"{where}: is not YAML in UTF-8; {_EXAMPLE}") from error
    if node is None:
        return Pronunciations()
    return Pronunciations(tuple(_entries(node, path)))


def _entries(node: yaml.Node, path: Path) -> list[Entry]:
    if not isinstance(node, yaml.SequenceNode):
        raise PronunciationError(f"{path}, line {node.start_mark.line + 1}: must be a list; {_EXAMPLE}")
    if len(node.value) > MOST_ENTRIES:
        raise PronunciationError(f"{path} has more than {MOST_ENTRIES} entries; keep the words that are needed")
    entries: list[Entry] = []
    lines: dict[tuple[str, str | None, str | None], int] = {}
    for item in node.value:
        where, line = f"{path}, line {item.start_mark.line + 1}", item.start_mark.line + 1
        values = _values(item, where)
        entry = _entry(values, where)
        same = (entry.written or "/" + values["pattern"], entry.language, entry.voice)
        if same in lines:
            raise PronunciationError(f"{where}: says again what line {lines[same]} says; keep one of them")
        lines[same] = line
        entries.append(entry)
    if sum(entry.pattern is not None for entry in entries) > MOST_PATTERNS:
        raise PronunciationError(f"{path} has more than {MOST_PATTERNS} patterns; write plain words with `say`")
    return entries


def _values(item: yaml.Node, where: str) -> dict[str, str]:
    if not isinstance(item, yaml.MappingNode):
        raise PronunciationError(f"{where}: is no entry; {_EXAMPLE}")
    values: dict[str, str] = {}
    for key, value in item.value:
        name = str(key.value)[:40]
        if name not in _MOST_CHARS:
            raise PronunciationError(f"{where}: unknown key {name!r}; known here: {', '.join(_MOST_CHARS)}")
        if name in values:
            raise PronunciationError(f"{where}: {name} is given twice; keep one")
        if not isinstance(value, yaml.ScalarNode):
            raise PronunciationError(f"{where}: {name} must be text; {_EXAMPLE}")
        if len(value.value) > _MOST_CHARS[name]:
            raise PronunciationError(f"{where}: {name} is longer than {_MOST_CHARS[name]} characters; shorten it")
        values[name] = value.value
    return values


def _entry(values: dict[str, str], where: str) -> Entry:
    if ("say" in values) == ("pattern" in values):
        raise PronunciationError(f"{where}: needs either `say` or `pattern`; {_EXAMPLE}")
    if "as" not in values:
        raise PronunciationError(f"{where}: needs `as`, which says how it is spoken; {_EXAMPLE}")
    language, voice = values.get("language"), values.get("voice")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise PronunciationError(f"{where}: language must be a tag such as en or zh, and is {language!r}")
    if voice is not None and not _VOICE.fullmatch(voice):
        raise PronunciationError(f"{where}: voice must be the name of one (a-z, 0-9, _ and -), and is {voice!r}")
    written = fold(clean(values.get("say", "")))
    if "say" in values and not written:
        raise PronunciationError(f"{where}: say is empty; name a word")
    pattern = _compiled(values["pattern"], values["as"], where) if "pattern" in values else None
    spoken = clean(values["as"])
    return Entry(written, pattern, spoken, base(language) if language else None, voice)


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
        raise PronunciationError(
            f"{where}: the pattern {pattern!r} is not understood ({shown}); see RE2's syntax, or use `say`"
        ) from error
    if any(int(group) > compiled.groups for group in re.findall(r"\\([0-9])", spoken)):
        raise PronunciationError(f"{where}: `as` names a group that the pattern {pattern!r} does not have")
    return compiled


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return (found.st_mtime_ns, found.st_size, found.st_ino)
