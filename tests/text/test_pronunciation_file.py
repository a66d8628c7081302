from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ishowtts.errors import OperatorFileError
from ishowtts.text import pronunciation_file
from ishowtts.text.pronunciations import Pronunciations
from ishowtts.util.strict_yaml import MOST_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pronunciations.yaml"


def entries(*entries: dict[str, str]) -> str:
    return json.dumps(entries, ensure_ascii=False)


HUGE = entries(*({"say": f"word{i}", "as": "x"} for i in range(1001)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: b", "line 1: must be a list"),
        ("- [", "is not plain YAML"),
        ("- x", "line 1: is not an entry"),
        ("- {say: a, as: b}\n- {say: c}", "line 2: needs `as`"),
        ("- {as: c}", "needs either `say` or `pattern`"),
        ("- {say: a, pattern: b, as: c}", "needs either `say` or `pattern`"),
        ("- {say: a, ass: c}", "unknown key 'ass'; known keys: say, pattern, as, language, voice"),
        ("- {say: a, say: b, as: c}", "the key 'say' twice"),
        ("- {say: [a], as: c}", "say must be text"),
        ("- {say: '', as: c}", "say is empty"),
        ("- {say: a, as: c, language: English}", "language must be a tag such as en or zh, not 'English'"),
        ("- {say: a, as: c, voice: ../x}", "voice must be the name of a voice"),
        ("- {say: a, as: c}\n- {say: A, as: d}", "line 2: repeats what line 1 says"),
        ("- {pattern: '(', as: c}", "the pattern '(' cannot be compiled (missing )"),
        ("- {pattern: '(?=a)', as: c}", "cannot be compiled"),
        ("- {pattern: 'a{99999999}', as: c}", "cannot be compiled"),
        (r"- {pattern: '\pL{100}', as: c}", "cannot be compiled"),  # more than 1 MiB of memory
        ("- {pattern: 'a', as: 'x\\1'}", "names a group that the pattern 'a' does not have"),
        ("- {say: " + "a" * 101 + ", as: c}", "say is longer than 100 characters"),
        ("- !!python/object/apply:os.system [id]", "it has a tag"),
        ("- &a {say: *a, as: c}", "an anchor or an alias"),
        ("[" * 5000, "is not plain YAML"),
        ("#" * (MOST_BYTES + 1), "is larger than 64 KiB"),
        (HUGE, "has more than 1000 entries"),
        (entries(*({"pattern": f"x{i}", "as": "x"} for i in range(101))), "has more than 100 patterns"),
    ],
)
def test_each_fault_names_the_file_the_line_and_the_fix(path: Path, content: str, says: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(OperatorFileError) as caught:
        pronunciation_file.read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_and_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OperatorFileError, match="not a regular file"):
        pronunciation_file.read(path)


def test_a_file_that_is_not_utf_8_is_refused(path: Path) -> None:
    path.write_bytes(b"- {say: \xff}")
    with pytest.raises(OperatorFileError, match="is not UTF-8"):
        pronunciation_file.read(path)


def test_an_empty_file_has_no_entries(path: Path) -> None:
    path.write_text("# nothing yet\n")
    assert pronunciation_file.read(path) == Pronunciations()
