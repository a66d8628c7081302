"""Safe access to files that another user may have put there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ishowtts.util.files import file_version, make_private_folder, open_regular, read_bounded, take_rights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    return path


def test_a_regular_file_within_the_limit_is_read(file: Path) -> None:
    assert read_bounded(file, 5) == b"12345"
    with open_regular(file) as opened:
        assert opened.read() == b"12345"


def test_a_larger_file_is_refused(file: Path) -> None:
    with pytest.raises(OSError, match="larger than 4 bytes") as caught, open_regular(file, 4):
        pass
    assert caught.value.errno == errno.EFBIG


def test_a_pipe_and_a_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(OSError, match="not a regular file") as caught, open_regular(path):
            pass
        assert caught.value.filename == str(path)


def test_a_link_is_followed_only_if_that_is_wanted(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read_bounded(link, 5) == b"12345"
    with pytest.raises(OSError, match="symbolic links") as caught:
        read_bounded(link, 5, follow_links=False)
    assert caught.value.errno == errno.ELOOP


def test_a_relative_path_starts_from_the_open_folder(file: Path) -> None:
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    with open_regular(file.name, dir_fd=folder) as opened:
        assert opened.read() == b"12345"
    os.close(folder)


def test_no_descriptor_is_left_open(file: Path, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (file, tmp_path):
        for _ in range(3):
            try:
                read_bounded(path, 1)
            except OSError:
                continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_version_differs_after_each_kind_of_change(file: Path) -> None:
    """Without the ctime, which would differ after every one of them."""
    versions = [file_version(file, with_ctime=False)]
    file.write_bytes(b"54321")
    os.utime(file, ns=(1, 1))
    versions.append(file_version(file, with_ctime=False))
    file.write_bytes(b"123456")
    os.utime(file, ns=(1, 1))
    versions.append(file_version(file, with_ctime=False))
    other = file.with_name("other")
    other.write_bytes(b"123456")
    os.utime(other, ns=(1, 1))
    other.replace(file)
    versions.append(file_version(file, with_ctime=False))
    assert len(set(versions)) == 4


def test_a_stored_version_survives_a_change_of_the_permissions(file: Path) -> None:
    before = file_version(file), file_version(file, with_ctime=False)
    os.utime(file, ns=(1, 1))
    assert file_version(file, with_ctime=False) != before[1]
    stored, live = file_version(file, with_ctime=False), file_version(file)
    file.chmod(0o600)
    assert file_version(file, with_ctime=False) == stored
    assert file_version(file) != live


def test_a_link_has_a_version_of_its_own(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert file_version(link) == file_version(file)
    assert file_version(link, follow_links=False) != file_version(file)


def test_a_missing_file_has_no_version(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file_version(tmp_path / "missing")


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_private_folder_is_closed_to_others_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_private_folder(tmp_path / "a/b")
        make_private_folder(tmp_path / "a/group", 0o750)
    finally:
        os.umask(before)
    assert oct((tmp_path / "a/b").stat().st_mode & 0o777) == "0o700"
    assert oct((tmp_path / "a/group").stat().st_mode & 0o777) == oct(0o750 & ~umask)


@pytest.mark.parametrize(
    ("mode", "names", "expected"),
    [
        (0o755, [], 0o700),
        (0o777, ["mine"], 0o700),
        (0o500, ["mine"], 0o500),  # no right is added
        (0o755, ["mine", "of another program"], 0o755),
        (0o1777, [], 0o1777),  # shared, like /tmp
    ],
)
def test_rights_are_taken_from_a_folder_that_is_ours_alone(
    tmp_path: Path, mode: int, names: list[str], expected: int
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    folder.chmod(mode)
    make_private_folder(folder, ours=lambda name: name == "mine")
    assert oct(folder.stat().st_mode & 0o7777) == oct(expected)
    folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_rights_of_a_file_of_another_user_stay(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.touch()
    theirs.chmod(0o644)
    os.chown(theirs, 65534, 65534)
    take_rights(theirs, 0o600)
    assert oct(theirs.stat().st_mode & 0o777) == "0o644"
