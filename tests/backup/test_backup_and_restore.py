"""`ishowtts backup` and `restore`: what is in an archive, where it goes, and what becomes of lines and identity."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ishowtts.backup import backup_writer, restoring
from ishowtts.backup.backup_reader import BackupReader
from ishowtts.backup.backup_writer import BackupOrigin, write_backup
from ishowtts.backup.manifest import JOURNAL
from ishowtts.cli import restore
from ishowtts.cli.main import main
from ishowtts.config import load
from ishowtts.errors import BackupError
from ishowtts.inbox import count_history, read_setting, wait_for
from ishowtts.inbox.database_file import lock
from ishowtts.inbox.queue_types import HistoryFilter
from ishowtts.model import Priority
from ishowtts.util.file_lock import lock_file
from support.appliance import Appliance
from support.backups import FilledAppliance
from support.client import Client
from support.waiting import eventually

Capture = pytest.CaptureFixture[str]
NOBODY = 65534
STATES = ("finished", "waiting", "speaking", "expired")


def fill(folder: Path, stamp: str) -> FilledAppliance:
    shutil.rmtree(folder, ignore_errors=True)
    return FilledAppliance(folder, stamp)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A backup of an appliance in `board`, which is an old one now."""
    path = tmp_path / "new.tar.gz"
    assert main(fill(tmp_path / "board", "new").arguments("backup", str(path))) == 0
    return path


@pytest.fixture
def board(archive: Path, tmp_path: Path, capsys: Capture) -> FilledAppliance:
    capsys.readouterr()
    return fill(tmp_path / "board", "old")


def setting(board: FilledAppliance, key: str) -> str | None:
    return read_setting(board.state / "inbox.sqlite", key)


def remember(board: FilledAppliance, **settings: str) -> None:
    with closing(board.inbox()) as inbox:
        for key, value in settings.items():
            wait_for(inbox.remember(key, value))


def names(path: Path) -> list[str]:
    with tarfile.open(path) as found:
        return found.getnames()


def test_what_is_in_a_backup(archive: Path) -> None:
    assert names(archive) == [
        "manifest.json",
        "configuration/config.yaml",
        "configuration/pronunciations",
        "configuration/blocked-words",
        *(f"{kind}/anna/reference.{suffix}" for kind in ("voices", "uploaded-voices") for suffix in ("flac", "txt")),
        "chimes/ding.wav",
        "queue/inbox.sqlite",
    ]
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_a_restore_brings_everything_back_and_keeps_what_was_there(
    board: FilledAppliance, archive: Path, tmp_path: Path, capsys: Capture
) -> None:
    former = board.files()
    assert main(board.arguments("restore", str(archive))) == 0
    shown = capsys.readouterr().out
    found = board.files()
    other = fill(tmp_path / "other", "new").files()
    for name in former:
        if name != "config.yaml":
            assert found[name] == other[name], name
    assert b"name: new" in found["config.yaml"]
    kept = [path for path in board.folder.rglob("*.before-restore-*") if path.parent in (board.folder, board.state)]
    assert len(kept) == 7
    for path in kept:
        assert f"the former one is kept: {path}" in shown
    assert setting(board, "stamp") == "new"
    assert setting(board, "volume") == "3"
    assert read_setting(next(board.state.glob("inbox.sqlite.before-restore-*")), "stamp") == "old"
    assert "the queue: 3 waiting lines and 0 in the history" in shown
    assert not (board.folder / "restore-unfinished.json").exists()


def test_lines_that_waited_expire_unless_they_are_wanted(
    board: FilledAppliance, archive: Path, capsys: Capture
) -> None:
    assert main(board.arguments("restore", str(archive))) == 0
    assert "lines that waited then have expired" in capsys.readouterr().out
    queue = board.state / "inbox.sqlite"
    assert count_history(queue, HistoryFilter(states=frozenset(["expired"]))) == 3
    assert main(board.arguments("restore", str(archive), "--with-waiting")) == 0
    assert "expired" not in capsys.readouterr().out
    with closing(board.inbox()) as inbox:
        taken = wait_for(inbox.take(Priority.LOW, ()).future)
        assert taken is not None
        assert taken.line.text == "new 0"


IDENTITY = {"client_secret": "a" * 32, "instances": "one two", "root": "ishowtts/new", "discovery": "[]"}


@pytest.mark.parametrize(
    "case",
    [
        ({}, True, (), "a" * 32),
        ({}, False, (), None),
        ({}, False, ("--same-appliance",), "a" * 32),
        ({"client_secret": "b" * 32}, True, (), "b" * 32),
        ({"client_secret": "b" * 32}, False, (), "b" * 32),
        ({"client_secret": "b" * 32}, False, ("--same-appliance",), "a" * 32),
    ],
)
def test_the_identity_at_the_broker_stays_with_the_machine(
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[dict[str, str], bool, tuple[str, ...], str | None],
) -> None:
    here, same_machine, options, kept = case
    archive = tmp_path / "new.tar.gz"
    remember(fill(tmp_path / "board", "new"), **IDENTITY)
    assert main(["backup", str(archive), "--config", str(tmp_path / "board/config.yaml")]) == 0
    board = fill(tmp_path / "board", "old")
    remember(board, **here)
    if not same_machine:
        monkeypatch.setattr("ishowtts.backup.restoring.machine", lambda _serial: "0" * 64)
    assert main(board.arguments("restore", str(archive), *options)) == 0
    assert setting(board, "client_secret") == kept
    is_the_archives = kept == IDENTITY["client_secret"]
    for key in ("instances", "root", "discovery"):
        assert setting(board, key) == (IDENTITY[key] if is_the_archives else None)
    assert ("becomes an appliance of its own" in capsys.readouterr().out) == (kept is None)


def test_a_dry_run_shows_what_is_in_it_and_changes_nothing(
    board: FilledAppliance, archive: Path, capsys: Capture
) -> None:
    before = board.files()
    assert main(board.arguments("restore", str(archive), "--dry-run")) == 0
    shown = capsys.readouterr().out
    assert "a backup of ishowtts/new, made at " in shown
    assert "voices: anna\n" in shown
    assert "the configuration with pronunciations and blocked words\n" in shown
    assert f"{board.state / 'inbox.sqlite'} would be replaced, and the former one kept" in shown
    assert main(board.arguments("restore", str(archive), "--dry-run", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["queue"] == {"version": 6, "waiting": 3, "ended": 0}
    assert board.files() == before


def test_a_service_that_does_not_start_again_hides_no_result(
    board: FilledAppliance, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    stand_in = tmp_path / "bin/systemctl"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\n[ $1 = stop ] || { echo 'Job failed.' >&2; exit 1; }\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=os.pathsep)
    monkeypatch.setattr(restoring, "in_use", lambda _: True)
    assert main(board.arguments("restore", str(archive), "--stop")) == 1
    out, err = capsys.readouterr()
    assert "the former one is kept: " in out
    assert err == "ishowtts: systemctl start ishowtts.service failed (Job failed.); do it by hand\n"


def test_the_configuration_that_is_here_can_stay(board: FilledAppliance, archive: Path, capsys: Capture) -> None:
    before = board.files()
    assert main(board.arguments("restore", str(archive), "--without-config")) == 0
    after = board.files()
    for name in ("config.yaml", "pronunciations.yaml", "blocked.txt"):
        assert after[name] == before[name]
    assert after["state/chimes/ding.wav"] == b"new"


def test_secrets_are_in_no_backup_and_a_restore_names_those_that_are_missing(
    board: FilledAppliance, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ishowtts.backup.contents.DEFAULT_PATH", board.config)
    secrets = [board.write(name, "opensesame") for name in ("mqtt-password", "gateway-token")]
    archive = tmp_path / "b.tar.gz"
    assert main(board.arguments("backup", str(archive))) == 0
    assert "(gateway-token, mqtt-password, state)" in capsys.readouterr().out
    assert b"opensesame" not in gzip.decompress(archive.read_bytes())
    secrets[0].unlink()
    assert main(board.arguments("restore", str(archive))) == 0
    shown = capsys.readouterr().out
    assert f"not in the backup, and not in {board.folder}: mqtt-password; copy them" in shown
    assert secrets[1].read_text() == "opensesame"


def test_a_restore_through_pipes(board: FilledAppliance, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    pipe = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", pipe)
    assert main(board.arguments("backup", "-")) == 0
    assert "not in it: passwords, tokens, keys and certificates" in capsys.readouterr().err
    other = fill(board.folder, "other")
    pipe.seek(0)
    monkeypatch.undo()
    monkeypatch.setattr("sys.stdin", pipe)
    assert main(other.arguments("restore", "-")) == 0
    assert setting(other, "stamp") == "old"


def test_a_backup_has_a_name_in_a_folder_and_replaces_only_when_it_is_complete(
    board: FilledAppliance, tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    assert main(board.arguments("backup", str(folder), "--json")) == 0
    made = json.loads(capsys.readouterr().out)
    (path,) = folder.iterdir()
    assert made["file"] == str(path)
    assert path.name.startswith("ishowtts-old-")
    good = path.read_bytes()
    (board.state / "inbox.sqlite").write_bytes(b"x" * 8192)
    assert main(board.arguments("backup", str(path))) == 1
    assert "damaged" in capsys.readouterr().err
    assert path.read_bytes() == good
    assert list(folder.iterdir()) == [path]


def test_what_a_killed_backup_has_left_is_used_again_but_not_what_another_one_writes(
    board: FilledAppliance, tmp_path: Path, capsys: Capture
) -> None:
    target, part = tmp_path / "b.tar.gz", tmp_path / ".b.tar.gz.part"
    part.write_bytes(b"x" * 100_000)
    assert main(board.arguments("backup", str(target))) == 0
    assert not part.exists()
    BackupReader(io.BytesIO(target.read_bytes())).verify()
    before = target.read_bytes()
    with part.open("wb") as other:
        assert lock_file(other.fileno())
        assert main(board.arguments("backup", str(target))) == 1
        assert f"another backup writes {target} now" in capsys.readouterr().err
    part.unlink()
    victim = board.write("victim", "untouched")
    part.symlink_to(victim)
    assert main(board.arguments("backup", str(target))) == 1
    part.unlink()
    part.hardlink_to(victim)
    assert main(board.arguments("backup", str(target))) == 1
    assert victim.read_text() == "untouched"
    part.unlink()
    os.mkfifo(part)  # without a reader, its opening would wait for ever
    assert main(board.arguments("backup", str(target))) == 1
    assert target.read_bytes() == before


def test_a_copy_of_the_queue_that_a_killed_backup_has_left_is_removed(
    board: FilledAppliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(backup_writer, "_TEMPORARY", tmp_path)
    left, in_use, new = folders = [tmp_path / f"ishowtts-backup-{name}" for name in ("left", "in-use", "new")]
    for folder in folders:
        folder.mkdir()
        (folder / "inbox.sqlite").write_text("private texts")
    for folder in (left, in_use):
        os.utime(folder, (1, 1))
    descriptor = os.open(in_use, os.O_RDONLY)
    try:
        assert lock_file(descriptor)
        assert main(board.arguments("backup", str(tmp_path / "b.tar.gz"))) == 0
    finally:
        os.close(descriptor)
    assert sorted(tmp_path.glob("ishowtts-backup-*")) == [in_use, new]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/dev/null", "/dev/null is not a regular file; name another one, or - for a pipe"),
        ("absent/backup.tar.gz", "absent/backup.tar.gz cannot be written (No such file or directory); fix its path"),
    ],
)
def test_a_backup_that_cannot_be_written(
    board: FilledAppliance, tmp_path: Path, capsys: Capture, target: str, words: str
) -> None:
    assert main(board.arguments("backup", str(tmp_path / target))) == 1
    assert words in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(board: FilledAppliance, small_disk: Path, capsys: Capture) -> None:
    board.write("state/voices/anna/reference.flac", os.urandom(2_000_000))
    assert main(board.arguments("backup", str(small_disk / "b.tar.gz"))) == 1
    assert "cannot be written (No space left on device); make room there" in capsys.readouterr().err
    assert list(small_disk.iterdir()) == []


def test_a_read_that_fails_names_the_file(board: FilledAppliance, capsys: Capture) -> None:
    """As a failing card does it. The first page of a process's memory gives EIO, too."""
    failing = Path("/proc/self/mem")
    with pytest.raises(BackupError, match=r"^/proc/self/mem cannot be read "):
        write_backup(BackupOrigin(load(board.config), failing, "x", None), io.BytesIO())
    assert main(board.arguments("restore", str(failing), "--dry-run")) == 1
    assert capsys.readouterr().err == "ishowtts: the archive cannot be read (Input/output error); copy it again\n"


def test_a_disk_for_temporary_files_that_cannot_be_written(
    board: FilledAppliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Often it is the same card as that of the queue, and /tmp is in memory."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(backup_writer, "_TEMPORARY", Path("/proc/sys"))  # which root cannot write either
    assert main(board.arguments("backup", str(tmp_path / "b.tar.gz"))) == 0
    monkeypatch.setattr(tempfile, "tempdir", "/proc/sys")
    assert main(board.arguments("backup", str(tmp_path / "c.tar.gz"))) == 1
    assert "no folder for temporary files can be made" in capsys.readouterr().err


def test_a_disk_that_became_read_only(board: FilledAppliance, tmp_path: Path) -> None:
    """A failing card is a good reason for a backup. The last lines are in the log of the queue."""
    mount = ["mount", "--bind", board.state, board.state]
    with closing(board.inbox()) as inbox:
        wait_for(inbox.remember("stamp", "in the log"))
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("only root may mount")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", board.state], check=True)
            assert main(board.arguments("backup", str(tmp_path / "b.tar.gz"))) == 0
        finally:
            subprocess.run(["umount", board.state], check=True)
    assert main(board.arguments("restore", str(tmp_path / "b.tar.gz"))) == 0
    assert setting(board, "stamp") == "in the log"


def test_a_restore_needs_room(board: FilledAppliance, archive: Path, small_disk: Path, capsys: Capture) -> None:
    board.write("config.yaml", json.dumps({"state_dir": str(small_disk)}))
    assert main(board.arguments("restore", str(archive), "--without-config")) == 1
    assert f"{small_disk} needs 17 MB for the restore, and 1 MB are free; make room" in capsys.readouterr().err
    assert list(small_disk.iterdir()) == []


def test_links_in_a_folder_are_followed_only_inside_of_it(
    board: FilledAppliance, tmp_path: Path, capsys: Capture
) -> None:
    voices = board.state / "voices"
    (voices / "anna/secret").symlink_to("/etc/passwd")
    (voices / "anna/reference.wav").symlink_to("reference.flac")
    (voices / "berta").symlink_to("anna")
    os.mkfifo(voices / "anna/pipe")
    archive = tmp_path / "b.tar.gz"
    assert main(board.arguments("backup", str(archive))) == 0
    shown = capsys.readouterr().out
    found = names(archive)
    assert "voices/anna/reference.wav" in found
    assert "voices/berta/reference.txt" in found
    assert not {"voices/anna/secret", "voices/berta/secret", "voices/anna/pipe"} & set(found)
    assert f"left out: {voices}/anna/secret: it is a link out of its folder" in shown
    assert f"left out: {voices}/anna/pipe: it is not a regular file" in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_the_state_of_the_service_keeps_its_owner_and_modes(
    board: FilledAppliance, archive: Path, capsys: Capture
) -> None:
    """Root writes there with the rights of that user, so that a link of that user leads it nowhere."""
    board.write("config.yaml", json.dumps({"state_dir": str(board.state), "data_dir": str(board.folder)}))
    for path in (board.state, *board.state.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for folder in (board.folder, *board.folder.parents):
        if folder.stat().st_uid == 0 and folder != Path("/") and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    victim = board.write("victim", "root's own")
    (board.state / "inbox.sqlite.restore-new").symlink_to(victim)
    (board.state / "uploaded-voices.restore-new").symlink_to(board.folder)
    os.chown(board.folder, 0, 0)
    assert main(board.arguments("restore", str(archive), "--without-config")) == 0, capsys.readouterr().err
    assert victim.read_text() == "root's own"
    expected = {
        "state/inbox.sqlite": (NOBODY, 0o600),
        "state/uploaded-voices": (NOBODY, 0o700),
        "state/uploaded-voices/anna/reference.txt": (NOBODY, 0o600),
        "voices": (0, 0o755),
        "voices/anna": (0, 0o755),
        "voices/anna/reference.txt": (0, 0o644),
    }
    for name, (owner, mode) in expected.items():
        status = (board.folder / name).stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (owner, mode), name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_root_trusts_no_journal_of_another_user(board: FilledAppliance, archive: Path, capsys: Capture) -> None:
    os.chown(board.folder, NOBODY, NOBODY)
    assert main(board.arguments("restore", str(archive))) == 1
    assert "belongs to nobody, who could redirect root's writes; run this as that user" in capsys.readouterr().err
    victim = board.write("victim", "untouched")
    replacement = {"live": str(victim), "new": str(board.config), "aside": "/tmp/x", "inode": 1}
    journal = {"archive": "", "queue": str(board.state / "inbox.sqlite"), "replacements": [replacement]}
    board.write(JOURNAL, json.dumps(journal))
    assert main(board.arguments("restore", "--finish")) == 1
    assert "is not trusted: " in capsys.readouterr().err
    assert victim.read_text() == "untouched"


def test_a_journal_that_cannot_be_read(board: FilledAppliance, archive: Path, capsys: Capture) -> None:
    for content in ("{", "[]", "[" * 5000, '{"archive": "", "queue": "", "replacements": [{}]}'):
        board.write(JOURNAL, content)
        assert main(board.arguments("restore", str(archive))) == 1
        assert "is damaged; move it away" in capsys.readouterr().err


def test_weights_and_recordings_only_if_they_are_wanted(
    board: FilledAppliance, tmp_path: Path, capsys: Capture
) -> None:
    settings = {"state_dir": str(board.state), "audio": {"record_dir": str(board.state / "recordings")}}
    board.write("config.yaml", json.dumps(settings))
    board.write("state/recordings/a.flac", "sound")
    board.write("state/weights/F5TTS_v1_Base/model.safetensors", "numbers")
    archive = tmp_path / "b.tar.gz"
    assert main(board.arguments("backup", str(archive))) == 0
    assert "weights (--with-weights" in (shown := capsys.readouterr().out)
    assert "recordings (--with-recordings)" in shown
    assert main(board.arguments("backup", str(archive), "--with-weights", "--with-recordings")) == 0
    assert {"recordings/a.flac", "weights/F5TTS_v1_Base/model.safetensors"} <= set(names(archive))
    shutil.rmtree(board.state / "weights")
    assert main(board.arguments("restore", str(archive))) == 0
    assert (board.state / "weights/F5TTS_v1_Base/model.safetensors").read_text() == "numbers"


def test_a_mount_point_is_refused_before_anything_is_changed(
    board: FilledAppliance, archive: Path, capsys: Capture
) -> None:
    before = board.files()
    place = board.state / "voices"
    if subprocess.run(["mount", "--bind", place, place], capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount")
    try:
        assert main(board.arguments("restore", str(archive))) == 1
        assert f"{place} is a mount point and cannot be replaced" in capsys.readouterr().err
    finally:
        subprocess.run(["umount", place], check=True)
    assert board.files() == before


def test_folders_of_an_overlay(tmp_path: Path, archive: Path) -> None:
    """Boards with a read-only root have an overlay over it, which cannot rename what is below."""
    board = fill(tmp_path / "board", "old")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        layers = [Path(memory, name) for name in ("upper", "work")]
        for layer in layers:
            layer.mkdir()
        options = f"lowerdir={board.folder},upperdir={layers[0]},workdir={layers[1]}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(board.folder)]
        if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode != 0:
            pytest.skip(f"there are no overlays here ({done.stderr.strip()})")
        try:
            assert main(board.arguments("restore", str(archive))) == 0
            assert board.files()["state/voices/anna/reference.txt"] == b"new"
            (aside,) = board.state.glob("voices.before-restore-*")
            assert (aside / "anna/reference.txt").read_text() == "old"
            assert not list(board.folder.rglob("*.restore-new"))
        finally:
            subprocess.run(["umount", board.folder], check=True)


def test_a_signal_during_a_restore_does_not_leave_the_service_stopped(
    board: FilledAppliance, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = lock(board.state / "inbox.sqlite")
    happened: list[str] = []

    def systemctl(verb: str) -> None:
        happened.append(verb)
        if verb == "stop":
            os.close(daemon)
            os.kill(os.getpid(), signal.SIGTERM)  # as at the end of an ssh session, which sends SIGHUP

    monkeypatch.setattr(restore, "_systemctl", systemctl)
    former = signal.signal(signal.SIGTERM, lambda *_: happened.append("signal"))
    try:
        assert main(board.arguments("restore", str(archive), "--stop")) == 0
    finally:
        signal.signal(signal.SIGTERM, former)
    assert happened == ["stop", "start", "signal"]


def test_usage_in_words(board: FilledAppliance, archive: Path, capsys: Capture) -> None:
    for words, sentence in (
        (["restore"], "name the archive, or give --finish without one"),
        (["restore", "--finish"], "there is no interrupted restore here"),
        (["backup", str(archive), "--with-recordings"], "there are no recordings: audio.record_dir is null"),
    ):
        assert main(board.arguments(*words)) == 1
        assert sentence in capsys.readouterr().err


def test_a_damaged_queue_here_is_kept_with_its_log(board: FilledAppliance, archive: Path) -> None:
    queue = board.state / "inbox.sqlite"
    queue.write_bytes(b"x" * 8192)
    (board.state / "inbox.sqlite-wal").write_bytes(b"log")
    assert main(board.arguments("restore", str(archive))) == 0
    assert setting(board, "stamp") == "new"
    (aside,) = board.state.glob("inbox.sqlite.before-restore-*Z")
    assert aside.read_bytes() == b"x" * 8192
    assert not (board.state / "inbox.sqlite-wal").exists()


def test_a_daemon_under_a_stream_of_lines(
    make_appliance: Callable[..., Appliance], mqtt_client: Client, tmp_path: Path, capsys: Capture
) -> None:
    """A backup does not disturb it, and a restore is refused until it has stopped."""
    appliance = make_appliance(quick_s=0.01)
    config = str(tmp_path / "config.yaml")
    appliance.wait_ready(mqtt_client)
    archives = [tmp_path / f"{number}.tar.gz" for number in range(3)]
    sent: list[str] = []
    for archive in archives:
        sent += [appliance.say(mqtt_client, f"line {number}") for number in range(8)]
        assert main(["backup", str(archive), "--config", config]) == 0
    for line_id in sent:
        assert appliance.final(mqtt_client, line_id)["event"] == "finished"
    mqtt_client.publish(f"{appliance.root}/volume/set", "37")
    queue = tmp_path / "state" / "inbox.sqlite"
    eventually(lambda: read_setting(queue, "volume") == "37", "the volume is stored")
    assert main(["restore", str(archives[0]), "--config", config]) == 1
    assert f"the daemon runs and uses {queue}; stop it" in capsys.readouterr().err
    assert list(tmp_path.rglob("*restore*")) == []
    appliance.end()
    assert main(["restore", str(archives[2]), "--config", config]) == 0
    with tarfile.open(archives[2]) as found:
        member = found.extractfile("manifest.json")
        assert member is not None
        then = json.load(member)["queue"]
    counts = {key: count_history(queue, HistoryFilter(states=frozenset([key]))) for key in STATES}
    assert counts["finished"] == then["ended"]
    assert counts["expired"] == then["waiting"]
    assert counts["waiting"] == counts["speaking"] == 0
    appliance.start()
    mqtt_client.forget()
    appliance.wait_ready(mqtt_client)
    assert appliance.final(mqtt_client, appliance.say(mqtt_client, "after it"))["event"] == "finished"
