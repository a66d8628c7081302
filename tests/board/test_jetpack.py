"""The version of JetPack, from what the board has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ishowtts.board.jetpack import read_jetpack

RELEASE = "# R{} (release), REVISION: {}, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 2025\n"


def jetpack(root: Path, *, release: str = "", packages: str = "", kernel: str = "6.8.0-31-generic") -> str | None:
    contents = {"nv_tegra_release": release, "lib/dpkg/status": packages, "sys/kernel/osrelease": f"{kernel}\n"}
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return read_jetpack(root, root, root)


def package(name: str, version: str, status: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {status}\nPriority: optional\nArchitecture: arm64\nVersion: {version}\n\n"


@pytest.mark.parametrize(
    ("l4t", "revision", "expected"),
    [
        ("32", "7.6", "JetPack 4.6.6 (L4T 32.7.6)"),
        ("35", "1.0", "JetPack 5.0.2 (L4T 35.1.0)"),
        ("35", "4.1", "JetPack 5.1.2 (L4T 35.4.1)"),
        ("35", "6.1", "JetPack 5.1.5 (L4T 35.6.1)"),
        ("36", "3.0", "JetPack 6.0 (L4T 36.3.0)"),
        ("36", "4.0", "JetPack 6.1 (L4T 36.4.0)"),
        ("36", "4.3", "JetPack 6.2 (L4T 36.4.3)"),
        ("36", "4.4", "JetPack 6.2.1 (L4T 36.4.4)"),
        ("36", "4.7", "JetPack 6.2.1 (L4T 36.4.7)"),
        ("36", "5.0", "JetPack 6.2.2 (L4T 36.5.0)"),
        ("36", "5.2", "JetPack 6.2.3 (L4T 36.5.2)"),
        ("38", "2", "JetPack 7.0 (L4T 38.2.0)"),
        ("38", "4.0", "JetPack 7.1 (L4T 38.4.0)"),
        ("39", "2.0", "JetPack 7.2 (L4T 39.2.0)"),
        ("39", "2.2", "JetPack 7.2.2 (L4T 39.2.2)"),
        ("36", "4.9", "JetPack 6 (L4T 36.4.9)"),
        ("39", "9.1", "JetPack 7 (L4T 39.9.1)"),
        ("41", "1.0", "L4T 41.1.0"),
    ],
)
def test_the_release_of_jetson_linux_tells_the_version(tmp_path: Path, l4t: str, revision: str, expected: str) -> None:
    assert jetpack(tmp_path, release=RELEASE.format(l4t, revision)) == expected


def test_a_release_that_is_newer_than_this_program_is_named_by_the_metapackage(tmp_path: Path) -> None:
    packages = package("nvidia-jetpack-dev", "9.9+b1") + package("nvidia-jetpack", "7.3.1+b38")
    found = jetpack(tmp_path, release=RELEASE.format("39", "9.1"), packages=packages)
    assert found == "JetPack 7.3.1 (L4T 39.9.1)"


def test_without_the_release_file_the_packages_tell(tmp_path: Path) -> None:
    core = package("nvidia-l4t-core", "36.4.3-20250107174145")
    assert jetpack(tmp_path, packages=core) == "JetPack 6.2 (L4T 36.4.3)"
    assert jetpack(tmp_path, packages=package("nvidia-jetpack", "6.1+b123")) == "JetPack 6.1"
    assert jetpack(tmp_path, packages=core + package("nvidia-jetpack", "6.2+b77")) == "JetPack 6.2 (L4T 36.4.3)"


def test_a_package_that_was_removed_does_not_count(tmp_path: Path) -> None:
    removed = package("nvidia-jetpack", "5.1.1-b56", "deinstall ok config-files")
    assert jetpack(tmp_path, packages=removed) is None


def test_without_files_the_kernel_of_nvidia_tells_the_major_version(tmp_path: Path) -> None:
    assert jetpack(tmp_path, kernel="5.10.120-tegra") == "JetPack 5 (kernel 5.10.120-tegra)"
    assert jetpack(tmp_path, kernel="6.8.12-1021-tegra") == "JetPack 7 (kernel 6.8.12-1021-tegra)"
    assert jetpack(tmp_path, kernel="6.8.0-31-generic") is None
    assert jetpack(tmp_path, kernel="7.9.1-tegra") is None


@pytest.mark.parametrize("content", ["", "\0", "R (release), REVISION: ", "# R36 (release), REVISION: x", "9" * 5000])
def test_garbage_is_no_version(tmp_path: Path, content: str) -> None:
    assert jetpack(tmp_path, release=content, packages=content, kernel=content) is None


def test_a_missing_list_of_packages_is_no_error(tmp_path: Path) -> None:
    assert read_jetpack(tmp_path, tmp_path, tmp_path) is None
