"""The page on licences names every package that an installation brings."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
REQUIREMENTS = ROOT / "daemon/requirements"
LOCKS = ("linux", "jetpack6", "upstream", "torchaudio", "natural", "transcription", "uv")


def locked() -> set[str]:
    text = "".join((REQUIREMENTS / f"{lock}.txt").read_text(encoding="utf-8") for lock in LOCKS)
    return {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}


def rows() -> dict[str, str]:
    table = PAGE.split("\n## Python packages\n", 1)[1]
    return dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|$", table, re.MULTILINE))


def test_the_packages_are_those_of_the_locks() -> None:
    assert list(rows()) == sorted(locked())


@pytest.mark.parametrize(
    ("words", "licence"),
    [("affero|agpl", "AGPL"), ("lesser|lgpl", "LGPL"), ("noncommercial|cc-by-nc", "CC-BY-NC"), (r"\bgpl", "GPL")],
)
def test_what_a_package_itself_says_is_on_the_page(words: str, licence: str) -> None:
    for name, on_page in rows().items():
        try:
            package = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # of another platform
        named = [package.get("License-Expression"), *package.get_all("Classifier", ()), package.get("License")]
        said = " ".join(line.splitlines()[0] for line in named if line)
        if re.search(words, said, re.IGNORECASE):
            assert licence in on_page, f"{name}: {said}"
            assert f"`{name}`" in PAGE.split("\n## Models", 1)[0], "it limits the use, or asks for something"


def test_the_system_packages_of_the_installer_are_named() -> None:
    parts = (ROOT / "scripts/install/parts.sh").read_text(encoding="utf-8")
    names = [name for found in re.findall(r"names\+?=\((.*?)\)", parts) for name in found.split()]
    assert "espeak-ng" in names
    for name in names:
        assert f"`{name}`" in PAGE, name


def test_the_notice_of_the_natural_voice_is_repeated() -> None:
    try:
        notice = metadata.distribution("hibari-tts").read_text("licenses/NOTICE")
    except metadata.PackageNotFoundError:
        pytest.skip("the natural voice is not installed")
    assert notice is not None
    assert notice.strip() in PAGE
