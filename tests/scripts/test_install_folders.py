"""The folders of the appliance with real owners, and with a service whose user is hostile."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts.cli import main
from ishowtts.cli.config_files import examine_folders
from ishowtts.config import Config
from ishowtts.engines.voices import folders
from ishowtts.engines.weights_catalogue import OFFICIAL
from ishowtts.engines.weights_fetch import fetch
from ishowtts.errors import OperatorFileError, VoiceError, WeightsError
from ishowtts.playback.chime_files import ChimeFiles
from ishowtts.util.files import make_folder, refuse_foreign

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")

PRELUDE = """
set -euo pipefail
step() { echo "+ $*"; "$@"; }
systemd-tmpfiles() { command systemd-tmpfiles --root="$MACHINE" "$@"; }
die() { echo "$*" >&2; exit 1; }
. scripts/install/folders.sh
"""


class Machine:
    """A tree with the folders of an appliance. `nobody` stands for the user of the service."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "var/lib/ishowtts"
        self.cache = root / "var/cache/ishowtts"
        self.state = self.data / "state"
        self.secret = root / "secret"
        self.secret.write_text("of root\n")
        self.secret.chmod(0o600)
        for folder in (self.data, self.cache):
            folder.parent.mkdir(parents=True)
        # systemd-tmpfiles asks these for the user of the service.
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("root:x:0:0::/:\nishowtts:x:65534:65534::/:\n")
        (root / "etc/group").write_text("root:x:0:\nishowtts:x:65534:\n")

    def shell(self, program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", PRELUDE + program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"MACHINE": str(self.root), "TMPFILES": str(self.root / "tmpfiles.conf")},
        )  # fmt: skip

    def install(self) -> str:
        done = self.shell(f"make_folders {self.data} {self.cache} nobody nogroup")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def service(self, program: str) -> subprocess.CompletedProcess[str]:
        """Runs a program as the service's user in the data folder."""
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", program]
        return subprocess.run(command, cwd=self.data, capture_output=True, text=True, timeout=60, check=False)

    def make_old_layout(self) -> None:
        """Makes the folders of the previous version: the service owns the data folder, root owns the folders in it."""
        self.data.mkdir(mode=0o750)
        os.chown(self.data, NOBODY, NOBODY)
        for name in ("voices", "chimes"):
            (self.data / name).mkdir()

    def owner(self, path: str) -> tuple[int, int, str]:
        found = (self.data / path).lstat()
        return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)

    def is_untouched(self) -> bool:
        found = self.secret.stat()
        return (self.secret.read_text(), found.st_uid, oct(found.st_mode)) == ("of root\n", 0, "0o100600")


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not tmp_path: pytest closes it to other users.
    root = Path(tempfile.mkdtemp(prefix="ishowtts-test-"))
    root.chmod(0o755)
    yield Machine(root)
    shutil.rmtree(root)


def test_the_service_can_write_only_in_its_state_and_cache(machine: Machine) -> None:
    machine.install()
    assert machine.owner(".") == (0, NOBODY, "0o750")
    assert machine.owner("state") == (NOBODY, NOBODY, "0o700")
    assert machine.owner("voices") == machine.owner("chimes") == (0, 0, "0o755")
    assert machine.cache.stat().st_uid == NOBODY
    for tried in ("ln -s /etc weights", "mv voices v", "rmdir voices", "touch voices/x", "mv state s", "chmod 777 ."):
        assert machine.service(tried).returncode != 0, tried
    assert machine.service("touch state/x && ls voices && cat state/x").returncode == 0


def test_installing_again_changes_nothing_while_the_service_runs(machine: Machine) -> None:
    machine.install()
    machine.service("echo line > state/inbox.sqlite")
    before = (machine.state.stat(), (machine.state / "inbox.sqlite").stat().st_ctime_ns)
    output = machine.install()
    assert "mv " not in output
    assert "root -g root " + str(machine.state) not in output, "the state never belongs to root, not even for a moment"
    after = (machine.state.stat(), (machine.state / "inbox.sqlite").stat().st_ctime_ns)
    assert (before[0].st_uid, before[0].st_mode, before[1]) == (after[0].st_uid, after[0].st_mode, after[1])


def test_the_queue_of_the_old_layout_moves_with_every_line(machine: Machine) -> None:
    machine.make_old_layout()
    queue = machine.data / "inbox.sqlite"
    connection = sqlite3.connect(queue)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE lines (text)")
    connection.executemany("INSERT INTO lines VALUES (?)", [(str(i),) for i in range(50)])
    connection.commit()
    files = {name: Path(f"{queue}{name}").read_bytes() for name in ("", "-wal")}
    connection.close()
    for name, content in files.items():  # as a killed process leaves it: the lines are only in the -wal file
        Path(f"{queue}{name}").write_bytes(content)
        os.chown(f"{queue}{name}", NOBODY, NOBODY)
    Path(f"{queue}-shm").write_bytes(b"")  # root's, as `sudo ishowtts history` left it
    machine.service("mkdir -p .cache/x recordings; touch recordings/a.flac")
    (machine.data / "weights").mkdir()

    machine.install()
    assert sorted(path.name for path in machine.data.iterdir()) == ["chimes", "state", "voices", "weights"]
    assert {path.name for path in machine.state.iterdir()} == {
        "inbox.sqlite", "inbox.sqlite-wal", "inbox.sqlite-shm", ".cache", "recordings",
    }  # fmt: skip
    assert all(path.stat().st_uid == NOBODY for path in machine.state.iterdir())
    connection = sqlite3.connect(machine.state / "inbox.sqlite")
    assert connection.execute("SELECT count(*) FROM lines").fetchone() == (50,)
    connection.close()


def test_links_that_the_service_made_are_not_followed(machine: Machine) -> None:
    machine.make_old_layout()
    secret = machine.secret
    prepared = machine.service(
        f"rm -rf voices chimes; ln -s {secret.parent} voices; mkdir -p weights/.arriving;"
        f"ln -s {secret} weights/.arriving/vocab.txt; ln -s {secret} inbox.sqlite; ln -s {secret} inbox.sqlite-wal;"
        f"ln -s {secret} -- '-rf'; ln -s {secret} chimes; touch 'a b' '$(reboot)'"
    )
    assert prepared.returncode == 0, prepared.stderr
    os.link(secret, machine.data / "inbox.sqlite-shm")  # a kernel without protected_hardlinks allows this
    mode = machine.root.stat().st_mode
    output = machine.install()
    assert machine.is_untouched()
    assert machine.root.stat().st_mode == mode, "the target of voices"
    assert f"root does not own {machine.data}/voices, as it must" in output
    assert machine.owner("voices") == machine.owner("chimes") == (0, 0, "0o755")
    assert not (machine.data / "weights").exists()
    assert (machine.state / "voices").is_symlink()
    assert sorted(path.name for path in machine.data.iterdir()) == ["chimes", "state", "voices"]


@pytest.mark.parametrize("prepared", ["ln -s {secret_folder} state", "touch state"])
def test_a_state_that_is_not_a_folder_is_refused(machine: Machine, prepared: str) -> None:
    machine.make_old_layout()
    machine.service(prepared.format(secret_folder=machine.secret.parent))
    done = machine.shell(f"make_folders {machine.data} {machine.cache} nobody nogroup")
    assert (done.returncode, "is a link or not a folder" in done.stderr) == (1, True)
    assert machine.is_untouched()
    assert machine.service("mv state s").returncode != 0, "root has taken the data folder before it refused"


def test_an_interrupted_move_continues_at_the_next_installation(machine: Machine) -> None:
    machine.make_old_layout()
    machine.service("echo queue > inbox.sqlite; echo wal > inbox.sqlite-wal")
    stopped = 'mv() { command mv "$@"; kill -9 $$; }\n'  # after the first file
    machine.shell(f"{stopped} make_folders {machine.data} {machine.cache} nobody nogroup")
    assert machine.owner("state")[0] == 0
    machine.install()
    assert (machine.state / "inbox.sqlite").read_text() == "queue\n"
    assert (machine.state / "inbox.sqlite-wal").read_text() == "wal\n"
    assert machine.owner("state") == (NOBODY, NOBODY, "0o700")


def test_an_existing_queue_is_never_overwritten(machine: Machine) -> None:
    machine.make_old_layout()
    machine.service("mkdir state; echo new > state/inbox.sqlite; echo old > inbox.sqlite; echo wal > inbox.sqlite-wal")
    assert "inbox.sqlite is kept as " in machine.install()
    assert (machine.state / "inbox.sqlite").read_text() == "new\n"
    assert (machine.state / "inbox.sqlite.1").read_text() == "old\n"
    assert (machine.state / "inbox.sqlite.1-wal").read_text() == "wal\n"
    assert not (machine.state / "inbox.sqlite-wal").exists(), "SQLite would take it into the new queue"
    assert machine.owner("state/inbox.sqlite.1")[0] == NOBODY


QUEUES = ["inbox.sqlite", "inbox.sqlite-wal", "inbox.sqlite".ljust(255, "y")]
TAKEN = ["voices", "chimes", "weights", *QUEUES, "..x", ".hidden", "a b", "-rf", "new\nline", "ends\n", "x" * 255]


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "fifo", "folder", "hard link"])
def test_every_file_of_the_service_moves_even_if_its_name_is_taken(machine: Machine, kind: str) -> None:
    machine.make_old_layout()
    for name in ("voices", "chimes"):
        (machine.data / name).rmdir()
    machine.state.mkdir()
    for folder in (machine.data, machine.state):
        for name in TAKEN:
            make(folder / name, kind, machine.secret)
    (machine.state / "voices.1").symlink_to("nowhere")
    for path in (machine.state, *machine.data.iterdir(), *machine.state.iterdir()):
        if path.is_symlink() or kind != "hard link":
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.chown(machine.state, NOBODY, NOBODY)
    moved_before = len(list(machine.state.iterdir()))
    machine.install()
    assert machine.is_untouched()
    left = {path.name for path in machine.data.iterdir() if path.lstat().st_uid != 0 or path.name in TAKEN}
    if kind == "hard link":  # root owns it, so only the queue moves, and what must be a folder
        assert left == {"state", "voices", "chimes", *set(TAKEN) - set(QUEUES)}
        assert len(list(machine.state.iterdir())) == moved_before + 2 + len(QUEUES)
    else:
        assert left == {"state", "voices", "chimes"}
        assert len(list(machine.state.iterdir())) == moved_before + len(TAKEN), "nothing is lost"
    assert machine.owner("voices") == machine.owner("chimes") == (0, 0, "0o755")
    assert machine.owner("state") == (NOBODY, NOBODY, "0o700")


def make(path: Path, kind: str, secret: Path) -> None:
    if kind in ("link", "dangling"):
        path.symlink_to(secret if kind == "link" else "nowhere")
    elif kind == "file":
        path.write_text("of the service\n")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.link(secret, path)


@pytest.mark.parametrize("left", ["link", "file", "folder"])
def test_what_an_earlier_upgrade_left_is_refused_in_one_sentence(machine: Machine, left: str) -> None:
    machine.install()
    voices = machine.data / "voices"
    voices.rmdir()
    make(voices, left, machine.secret)
    os.chown(voices, NOBODY, NOBODY, follow_symlinks=False)
    done = machine.shell(f"make_folders {machine.data} {machine.cache} nobody nogroup")
    assert done.returncode == 1
    assert done.stderr == f"{voices} is not a folder that root owns; move it away and run this again\n"


def test_a_link_that_root_made_to_the_voices_stays(machine: Machine) -> None:
    machine.make_old_layout()
    (machine.data / "voices").rmdir()
    (machine.data / "voices").symlink_to(machine.root)
    mode = machine.root.stat().st_mode
    machine.install()
    machine.install()
    assert (machine.data / "voices").is_symlink()
    assert machine.root.stat().st_mode == mode


def test_a_file_that_cannot_be_moved_is_refused_in_one_sentence(machine: Machine) -> None:
    machine.make_old_layout()
    machine.service("touch recordings")
    done = machine.shell(f"mv() {{ :; }}; make_folders {machine.data} {machine.cache} nobody nogroup")
    entry, target = machine.data / "recordings", machine.state / "recordings"
    assert done.returncode == 1
    assert done.stderr == f"{entry} cannot be moved to {target}; move it away yourself and run this again\n"


@pytest.mark.parametrize(
    ("before", "after", "noted"),
    [
        ("state_dir: {data}\n", "state_dir: {data}/state\n", False),
        ("state_dir: {data}/  # ours\n", "state_dir: {data}/state\n", False),
        ("log: {{}}\nstate_dir: '{data}'\n", "log: {{}}\nstate_dir: {data}/state\n", False),
        ('state_dir: "{data}/"\n', "state_dir: {data}/state\n", False),
        ("state_dir: {data}/state\n", "state_dir: {data}/state\n", False),
        ("state_dir: /srv/ishowtts\n", "state_dir: /srv/ishowtts\n", False),
        ("audio:\n  record_dir: {data}/rec\n", "audio:\n  record_dir: {data}/rec\n", True),
        ("# state_dir: {data}/x\n", "# state_dir: {data}/x\n", False),
    ],
)
def test_the_configuration_gets_the_new_state_dir(machine: Machine, before: str, after: str, noted: bool) -> None:
    file = machine.root / "config.yaml"
    file.write_text(before.format(data=machine.data))
    done = machine.shell(f"update_state_dir {file} {machine.data}")
    assert (done.returncode, "note: " in done.stdout) == (0, noted)
    assert file.read_text() == after.format(data=machine.data)


def stick(folder: Path) -> Path:
    (folder / "vocos").mkdir(parents=True)
    for file in OFFICIAL.pinned:
        (folder / file.local_path).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("part", [".", "weights", "weights/.arriving"])
def test_root_does_not_fetch_into_a_folder_of_another_user(machine: Machine, part: str) -> None:
    machine.install()
    (machine.data / "weights/.arriving").mkdir(parents=True)
    os.chown(machine.data / part, NOBODY, NOBODY)
    with pytest.raises(WeightsError, match="belongs to nobody"):
        fetch(OFFICIAL, machine.data / "weights", stick(machine.root / "stick"))


def test_a_link_in_the_folder_for_arriving_files_is_not_followed(machine: Machine) -> None:
    machine.install()
    arriving = machine.data / "weights/.arriving"
    arriving.mkdir(parents=True)
    (arriving / "vocab.txt").symlink_to(machine.secret)
    source = stick(machine.root / "stick")
    size = next(file.size for file in OFFICIAL.pinned if file.local_path == "vocab.txt")
    (source / "vocab.txt").write_bytes(b"x" * size)  # a file of another size is not even copied
    with pytest.raises(WeightsError):
        fetch(OFFICIAL, machine.data / "weights", source)
    assert machine.is_untouched()


def test_root_does_not_add_voices_or_chimes_in_a_folder_of_the_service(machine: Machine) -> None:
    machine.make_old_layout()
    machine.service(f"rm -rf voices chimes; ln -s {machine.root} voices; ln -s {machine.root} chimes")
    with pytest.raises(VoiceError, match="belongs to nobody"):
        folders.remove(machine.data / "voices", "anna")
    with pytest.raises(VoiceError, match="belongs to nobody"):
        folders.add(machine.data / "voices", "anna", None, "words", None)  # type: ignore[arg-type]
    with pytest.raises(OperatorFileError, match="belongs to nobody"):
        ChimeFiles(machine.data / "chimes").make()
    assert {path.name for path in machine.root.iterdir()} == {"etc", "var", "secret"}


def test_root_must_own_each_part_of_a_path(machine: Machine) -> None:
    own = machine.root / "own"
    make_folder(own / "a/b")
    refuse_foreign(own / "a/b/not yet")
    (machine.root / "link").symlink_to(own)
    refuse_foreign(machine.root / "link/a")
    shared = machine.root / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(OSError, match="users other than root may write in"):
        refuse_foreign(shared / "a")
    shared.chmod(0o1777)
    refuse_foreign(shared / "a")
    (shared / "a").symlink_to(own)
    os.chown(shared / "a", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(OSError, match="belongs to nobody"):
        refuse_foreign(shared / "a")
    os.chown(own / "a", 12345, 12345)
    with pytest.raises(OSError, match="belongs to user 12345"):
        make_folder(machine.root / "link/a/c")
    assert not (own / "a/c").exists()


def config(machine: Machine) -> Path:
    path = machine.root / "config.yaml"
    path.write_text(json.dumps({"state_dir": str(machine.state), "cache_dir": str(machine.cache)}))
    return path


def test_history_does_not_follow_links_of_the_service(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.install()
    queue = machine.state / "inbox.sqlite"
    connection = sqlite3.connect(queue)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE lines (seq)")
    connection.close()
    Path(f"{queue}-wal").write_bytes(b"")
    Path(f"{queue}-shm").symlink_to(machine.secret)
    for file in (queue, Path(f"{queue}-wal")):
        os.chown(file, NOBODY, NOBODY)
    assert main(["history", "--config", str(config(machine))]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert machine.is_untouched()


def test_history_is_read_as_the_owner_of_the_state(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite opens the -wal file for writing and follows a link there, which root must not do."""
    machine.install()
    me: list[tuple[int, int, list[int]]] = []

    def read(*_: object) -> list[object]:
        me.append((os.geteuid(), os.getegid(), os.getgroups()))
        return []

    monkeypatch.setattr("ishowtts.inbox.read_history", read)
    before = (0, os.getegid(), os.getgroups())
    assert main(["history", "--config", str(config(machine))]) == 0
    assert me == [(NOBODY, NOBODY, [NOBODY])]
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    assert "no line has been spoken yet" in capsys.readouterr().out


def test_the_doctor_notes_the_old_layout(machine: Machine) -> None:
    def notes() -> list[str]:
        found = examine_folders(Config(state_dir=machine.state, data_dir=machine.data, cache_dir=machine.cache))
        return [finding.detail for finding in found if finding.part == "data_dir"]

    machine.make_old_layout()
    assert notes() == [f"{machine.data} belongs to nobody, who could redirect root's writes"]
    machine.install()
    assert notes() == []


def test_root_does_not_run_with_the_state_of_the_service(
    machine: Machine, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    machine.install()
    assert main(["run", "--config", str(config(machine))]) == 1
    assert "belongs to nobody" in caplog.text + capsys.readouterr().err


def test_root_does_not_use_compiled_files_of_the_service_to_try_a_voice(machine: Machine) -> None:
    from ishowtts.cli.voices.trial import _private_cache

    machine.install()
    with _private_cache(Config(cache_dir=machine.cache)) as settings:
        assert settings.cache_dir != machine.cache
        assert settings.cache_dir.stat().st_uid == 0
    assert not settings.cache_dir.exists()
    with _private_cache(Config(cache_dir=machine.root)) as settings:
        assert settings.cache_dir == machine.root
