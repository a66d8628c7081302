"""Archives that are damaged, foreign or hostile are refused in words, before anything is changed."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ishowtts.backup.backup_reader import BackupReader
from ishowtts.backup.tar_stream import TarReader
from ishowtts.cli.main import main
from ishowtts.errors import BackupError
from support import backups
from support.backups import FilledAppliance, archive, tar

Capture = pytest.CaptureFixture[str]
VOICE = ("voices/anna/reference.txt", "hello")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> FilledAppliance:
    return FilledAppliance(tmp_path_factory.mktemp("board"), "old")


@pytest.fixture
def unchanged(board: FilledAppliance) -> Iterator[FilledAppliance]:
    before = board.files()
    yield board
    assert board.files() == before
    assert not list(board.folder.rglob("*restore*"))


def with_link(kind: bytes) -> bytes:
    """An archive with a link or a device, where its manifest has a file."""
    info = tarfile.TarInfo(VOICE[0])
    info.type, info.linkname = kind, "/etc/passwd"
    return tar([("manifest.json", json.dumps(backups.manifest([VOICE]))), info])


def huge_header() -> bytes:
    """A header that has an extended header of a gigabyte before it."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20))


def named(name: str, **fields: Any) -> bytes:
    return archive([VOICE], {"files": [{"name": name, "size": 5, "sha256": "0" * 64, **fields}]})


GOOD = archive([VOICE])
HOSTILE = {
    "empty": (b"", "ends too early"),
    "no archive": (b"hello" * 500, "is not a backup of ishowtts"),
    "truncated": (GOOD[:-20], "damaged or incomplete"),
    "one bit": (GOOD[:-30] + bytes([GOOD[-30] ^ 1]) + GOOD[-29:], "damaged"),
    "another tar file": (tar([("a.txt", "a")]), "begins with 'a.txt'"),
    "no manifest": (tar([]), "begins with 'nothing'"),
    "not JSON": (tar([("manifest.json", "{")]), "manifest is wrong"),
    "newer form": (archive([VOICE], {"format": 2}), "a newer version made it"),
    "file twice": (archive([VOICE, VOICE]), "names a file twice"),
    "unknown folder": (archive([VOICE], {"trees": ["etc"]}), "unknown folder 'etc'"),
    "way up": (named("voices/../../etc/passwd"), "no backup has a file with the name"),
    "absolute": (named("/etc/passwd"), "no backup has a file with the name"),
    "hidden": (named("voices/.ssh/keys"), "no backup has a file with the name"),
    "deep": (named("voices/a/b/c"), "no backup has a file with the name"),
    "control character": (named("voices/a\nb"), "no backup has a file with the name"),
    "long": (named("voices/" + "a" * 81), "no backup has a file with the name"),
    "secret": (named("configuration/mqtt-password"), "no backup has a file with the name"),
    "large": (named("chimes/a.wav", size=10_000_001), "larger than 10000000 bytes"),
    "huge": (named("queue/inbox.sqlite", size=1 << 40), "manifest is wrong at files.0.size"),
    "negative": (named("chimes/a.wav", size=-1), "manifest is wrong"),
    "checksum": (named(VOICE[0]), "does not have the checksum"),
    "size": (named(VOICE[0], size=4), "comes where its manifest has"),
    "unnamed file": (archive([VOICE], {"files": []}), "does not name 'voices/anna/reference.txt'"),
    "missing file": (
        archive([], {"files": [{"name": VOICE[0], "size": 5, "sha256": "0" * 64}]}),
        "its end comes where",
    ),
    "no queue": (archive([("queue/inbox.sqlite", "x")]), "do not agree about the queue"),
    "newer queue": (
        archive([("queue/inbox.sqlite", "x")], {"queue": {"version": 77, "waiting": 0, "ended": 0}, "made_by": "9.9"}),
        "version 77, and this ishowtts reads versions up to 6: install ishowtts 9.9",
    ),
    "no database": (
        archive([("queue/inbox.sqlite", "x" * 5000)], {"queue": {"version": 6, "waiting": 0, "ended": 0}}),
        "damaged",
    ),
    "wrong configuration": (
        archive([("configuration/config.yaml", "volume: 3")]),
        "config.yaml of the backup:1: volume: unknown key",
    ),
    "paths elsewhere": (
        archive([("configuration/config.yaml", "{engine: {f5: {voices_dir: /etc/cron.d}}}"), VOICE]),
        "--accept-paths restores it there",
    ),
    "link": (with_link(tarfile.SYMTYPE), "regular"),
    "hard link": (with_link(tarfile.LNKTYPE), "regular"),
    "device": (with_link(tarfile.CHRTYPE), "regular"),
    "extended header": (huge_header(), "is not a regular file"),
    "something behind": (gzip.compress(backups.unzipped(GOOD) + b"x" * 600), "something follows"),
    "zeros behind": (gzip.compress(backups.unzipped(GOOD) + bytes(2 << 20)), "something follows"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_words(unchanged: FilledAppliance, tmp_path: Path, capsys: Capture, name: str) -> None:
    content, sentence = HOSTILE[name]
    path = tmp_path / "hostile.tar.gz"
    path.write_bytes(content)
    assert main(unchanged.arguments("restore", str(path))) == 1
    shown = capsys.readouterr().err
    assert sentence in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/../elsewhere/words.txt", "--accept-paths restores it there"),
        ("/restore-unfinished.json", "a name that the restore itself uses"),
        ("/words.txt.restore-new", "a name that the restore itself uses"),
    ],
)
def test_its_configuration_cannot_choose_where_root_writes(
    unchanged: FilledAppliance, tmp_path: Path, capsys: Capture, place: str, words: str
) -> None:
    """A later run of root would do what a journal says that came with the archive."""
    if os.geteuid() != 0:
        pytest.skip("only root is kept from folders")
    elsewhere = unchanged.folder.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    settings = {"policies": {"blocked": {"file": f"{unchanged.folder}{place}"}}, "state_dir": str(unchanged.state)}
    path = tmp_path / "a.tar.gz"
    path.write_bytes(
        archive(
            [("configuration/config.yaml", json.dumps(settings)), ("configuration/blocked-words", "x")], {"trees": []}
        )
    )
    assert main(unchanged.arguments("restore", str(path))) == 1
    assert words in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_a_small_archive_cannot_fill_the_memory() -> None:
    """Ten megabytes of zeros in each read would be a gigabyte in the end."""
    reader = TarReader(io.BytesIO(huge_header()))
    with pytest.raises(BackupError):
        reader.next_file()


def test_any_damaged_byte_is_noticed() -> None:
    BackupReader(io.BytesIO(GOOD)).verify()
    for i in range(10, len(GOOD) - 8, 7):
        damaged = GOOD[:i] + bytes([GOOD[i] ^ 0x55]) + GOOD[i + 1 :]
        with pytest.raises(BackupError):
            BackupReader(io.BytesIO(damaged)).verify()


def test_a_file_that_is_no_archive_is_refused(board: FilledAppliance, tmp_path: Path, capsys: Capture) -> None:
    for path in (tmp_path, tmp_path / "absent", Path("/dev/zero")):
        assert main(board.arguments("restore", str(path))) == 1
        assert str(path) in capsys.readouterr().err
