"""The folder is bounded, evicts the oldest first, and does no harm whatever the disk and other users do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ishowtts.archive.bounded_folder import BoundedFolder, FileKind
from support.disk import fill
from support.service_process import DAEMON
from support.waiting import eventually

KIND = FileKind("things are", "fix it", re.compile(r"[a-z]{1,8}"), (".a", ".b"), 0o640, evict_when_short=True)
KB = 1024
MOST = 40 * KB


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.iterdir() if re.fullmatch(r"[a-z]\.[ab]", path.name))


def opened(place: Path, room: Callable[[], bool] = lambda: True, most_bytes: int = MOST) -> BoundedFolder:
    folder = BoundedFolder(place, most_bytes, KIND, room)
    folder.open()
    return folder


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.sampled_from("abcdefgh"), st.integers(0, 45 * KB)),
        st.tuples(st.sampled_from(["use", "drop", "vanish", "reopen"]), st.sampled_from("abcdefgh"), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
def test_it_never_exceeds_its_bound_and_keeps_the_most_recently_used_files(actions: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as place_name:
        place = Path(place_name)
        (place / "other.txt").write_bytes(b"x" * 50 * KB)
        (place / "UPPER.a").write_bytes(b"x" * 50 * KB)
        folder = opened(place)
        recent: list[str] = []  # the last used comes last
        for action, stem, count in actions:
            if action == "keep":
                kept = folder.store(stem, {".a": b"a" * count, ".b": b"b"})
                assert kept == (count <= MOST - 4 * KB)
                if kept:
                    recent = [*(one for one in recent if one != stem), stem]
                    assert {f"{stem}.a", f"{stem}.b"} <= names(place), "stored files are there"
            elif action == "use" and stem in recent:
                folder.touch(stem)
                recent = [*(one for one in recent if one != stem), stem]
            elif action in ("drop", "vanish"):
                if action == "drop":
                    folder.remove(stem)
                else:
                    for path in place.glob(f"{stem}.?"):
                        path.unlink()
                recent = [one for one in recent if one != stem]
            elif action == "reopen":
                folder = opened(place)
            there = [one for one in recent if (place / f"{one}.a").exists()]
            assert there == recent[len(recent) - len(there) :], "the oldest go first"
            recent = there
            assert size(place) <= MOST
            assert folder.problem is None
        assert {"other.txt", "UPPER.a"} <= names(place)
        assert not [name for name in names(place) if name.endswith(".part")]


def test_files_of_others_with_a_name_that_begins_like_ours_are_not_removed(tmp_path: Path) -> None:
    others = {"word-cut.a", "word.tar.a", "word2.b", "my word.a", "word.a.bak"}
    for name in others:
        (tmp_path / name).write_bytes(b"x" * 20 * KB)
    folder = opened(tmp_path)
    for stem in "abcdef":
        assert folder.store(stem, {".a": b"a" * 15 * KB})
    assert names(tmp_path) - others == {"e.a", "f.a"}, "files of others do not count"
    assert others <= names(tmp_path)


def test_drafts_of_a_killed_process_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    for name in (".word.a.part", ".ishowtts.part", ".word.c.part", "film.part", ".UPPER.a.part"):
        (tmp_path / name).write_bytes(b"half")
    opened(tmp_path)
    assert names(tmp_path) == {".word.c.part", "film.part", ".UPPER.a.part"}


def test_a_process_killed_while_it_writes_leaves_complete_files(tmp_path: Path) -> None:
    writes = f"""
import re
from pathlib import Path
from ishowtts.archive.bounded_folder import BoundedFolder, FileKind
kind = FileKind("", "", re.compile("[a-z]{{1,8}}"), (".a", ".b"), 0o640, True)
folder = BoundedFolder(Path({str(tmp_path)!r}), 20_000_000, kind)
folder.open()
print("open", flush=True)
while True:
    for stem in "abcdefgh":
        folder.store(stem, {{".a": stem.encode() * 1_000_000, ".b": b"b"}})
"""
    drafts = 0
    until_s = time.monotonic() + 60
    while drafts < 3:  # a kill does not always fall into a write
        assert time.monotonic() < until_s, "no kill fell into a write"
        process = subprocess.Popen(
            [sys.executable, "-c", writes], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(DAEMON)}
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        eventually(lambda: list(tmp_path.glob(".*.part")), "a draft")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        drafts += len(list(tmp_path.glob(".*.part")))
        for path in tmp_path.glob("*.a"):
            assert path.read_bytes() == path.stem.encode() * 1_000_000
    opened(tmp_path)
    assert not list(tmp_path.glob(".*.part"))


def test_a_full_disk_is_reported_once_and_later_files_are_stored(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = opened(small_disk)
    assert folder.store("before", {".a": b"a"})
    filler = fill(small_disk)
    for _ in range(3):
        assert not folder.store("word", {".a": b"a" * 20 * KB})
        folder.maintain()
    assert folder.problem is not None
    assert "No space left" in folder.problem
    assert str(small_disk) in folder.problem
    assert len(caplog.records) == 1
    assert names(small_disk) == {"before.a", "filler"}
    filler.unlink()
    folder.maintain()
    assert folder.problem is None
    assert folder.store("word", {".a": b"a" * 20 * KB})
    assert names(small_disk) == {"before.a", "word.a"}


def test_a_read_only_disk_is_reported_once_and_still_read(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = opened(small_disk)
    folder.store("before", {".a": b"a"})
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    again = opened(small_disk)
    for _ in range(3):
        assert not again.store("word", {".a": b"a"})
        again.touch("before")
        again.remove("before")
        again.maintain()
    assert again.read("before.a", KB) == b"a"
    assert again.problem is not None
    assert "Read-only" in again.problem
    assert len(caplog.records) == 1


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = opened(tmp_path / "file" / "folder")
    assert folder.problem is not None
    assert not folder.store("word", {".a": b"a"})
    assert folder.read("word.a", KB) is None
    assert not folder.has("word.a")


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    folder = opened(place)
    folder.store("one", {".a": b"a"})
    (place / "one.a").unlink()
    place.rmdir()
    folder.maintain()
    assert folder.store("two", {".a": b"a"})
    assert names(place) == {"two.a"}
    assert folder.problem is None


def test_a_short_disk_gets_no_file_and_loses_the_oldest(tmp_path: Path) -> None:
    folder = opened(tmp_path, most_bytes=8 * 64 * KB)
    for stem in "abcdefgh":
        folder.store(stem, {".a": b"a" * 64 * KB})
    floor = 6
    short = opened(tmp_path, lambda: len(names(tmp_path)) < floor, most_bytes=8 * 64 * KB)
    assert names(tmp_path) == {f"{stem}.a" for stem in "bcdefgh"}, "an eighth at once: free space may be reported late"
    assert not short.store("word", {".a": b"a"})
    assert short.problem is not None
    assert "limits.min_free_mb" in short.problem
    short.maintain()
    assert names(tmp_path) == {f"{stem}.a" for stem in "cdefgh"}
    short.maintain()
    short.maintain()
    assert names(tmp_path) == {f"{stem}.a" for stem in "defgh"}, "no more than is needed"
    assert short.problem is None
    assert short.store("word", {".a": b"a"})


def test_a_short_disk_loses_no_recording(tmp_path: Path) -> None:
    """Only files that can be made again are evicted to get free space."""
    folder = opened(tmp_path, most_bytes=8 * 64 * KB)
    for stem in "abcdefgh":
        folder.store(stem, {".a": b"a" * 64 * KB})
    recordings = replace(KIND, evict_when_short=False)
    short = BoundedFolder(tmp_path, 8 * 64 * KB, recordings, lambda: False)
    short.open()
    short.maintain()
    assert names(tmp_path) == {f"{stem}.a" for stem in "abcdefgh"}
    assert short.problem is not None
    assert "limits.min_free_mb" in short.problem


def test_a_clock_that_was_set_back_does_not_make_the_newest_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = opened(tmp_path)
    folder.store("old", {".a": b"a" * 16 * KB})
    monkeypatch.setattr("ishowtts.archive.bounded_folder.time.time_ns", lambda: 1)
    again = opened(tmp_path)
    again.store("new", {".a": b"a" * 16 * KB})
    again.store("last", {".a": b"a" * 16 * KB})
    assert names(tmp_path) == {"new.a", "last.a"}


def test_only_ordinary_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    folder = opened(tmp_path / "folder")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "folder" / "link.a").symlink_to(secret)
    os.mkfifo(tmp_path / "folder" / "pipe.a")
    (tmp_path / "folder" / "large.a").write_bytes(b"x" * KB)
    assert [folder.read(f"{name}.a", KB - 1) for name in ("link", "pipe", "large")] == [None] * 3
    folder.store("link", {".a": b"ours"})
    assert secret.read_bytes() == b"secret"
    assert folder.read("link.a", KB) == b"ours"


def test_a_file_in_the_place_of_a_draft_is_not_written_into(tmp_path: Path) -> None:
    """It may be a pipe, or the draft of another daemon on the same folder."""
    folder, other = opened(tmp_path), opened(tmp_path)
    os.mkfifo(tmp_path / ".pipe.a.part")
    assert folder.store("pipe", {".a": b"sound"})
    assert folder.read("pipe.a", KB) == b"sound"
    first, second = folder.create_draft("both", ".a"), other.create_draft("both", ".a")
    os.write(second, b"second")
    os.write(first, b"first")
    os.close(first)
    os.close(second)
    assert other.publish("both", (".a",))
    assert other.read("both.a", KB) == b"second"


def test_files_have_their_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        opened(tmp_path).store("word", {".a": b"a"})
    finally:
        os.umask(before)
    assert (tmp_path / "word.a").stat().st_mode & 0o777 == 0o640
