"""No program of ours imports modules from the current folder: any user can leave some in /tmp."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ishowtts.config import Config
from ishowtts.engines.worker.wire import FrameKind
from ishowtts.engines.worker.worker_process import ShutdownTimeouts, WorkerProcess
from ishowtts.errors import EngineError
from ishowtts.util import child_process

ROOT = Path(__file__).resolve().parents[2]
CONSOLE_SCRIPT = Path(sys.executable).with_name("ishowtts")
# What our programs import first, what Python itself imports for -m and -c, and common names.
NAMES = [
    "ishowtts/__init__", "torch/__init__", "systemd/__init__", "voice_training/__init__", "encodings/__init__", "yaml",
    "json", "os", "re", "runpy", "linecache", "sitecustomize", "usercustomize", "numpy", "soundfile",
    "subprocess", "random",
]  # fmt: skip


class HostileFolder:
    """A folder full of modules that record when they are imported."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "current"
        self._marks = folder / "marks"
        self._marks.mkdir()
        for name in NAMES:
            file = self.path / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            mark = self._marks / name.replace("/", ".")
            file.write_text(f"import io\nio.open({str(mark)!r}, 'w').close()\n")

    @property
    def imported(self) -> list[str]:
        return sorted(mark.name for mark in self._marks.iterdir())


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostileFolder:
    """The current folder of the test and of each process that it starts."""
    folder = HostileFolder(tmp_path)
    monkeypatch.chdir(folder.path)
    return folder


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def stub_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Puts a stub of torch on PYTHONPATH; returns its error message. The real torch takes 3 s to import."""
    package = tmp_path / "packages/torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('the stub of torch')\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    return "the stub of torch"


def test_a_program_that_looks_in_the_current_folder_imports_these_modules(hostile: HostileFolder) -> None:
    run(sys.executable, "-m", "ishowtts", "--version")
    assert hostile.imported, "otherwise the tests below prove nothing"


@pytest.mark.parametrize(
    "words", [("--version",), ("check",), ("say", "--help"), ("history",), ("chimes",), ("devices",)]
)
def test_no_command_does(hostile: HostileFolder, words: tuple[str, ...], tmp_path: Path) -> None:
    settings = tmp_path / "config.yaml"
    settings.write_text(json.dumps({"state_dir": str(tmp_path), "audio": {"device": "silent"}}))
    arguments = [*words] if words == ("--version",) else [*words, "--config", str(settings)]
    # The commands differ in what they import, the two ways to start them only in what they put on the path.
    starts = [[str(CONSOLE_SCRIPT)], *([child_process.command("ishowtts")] if words == ("check",) else [])]
    for command in starts:
        done = run(*command, *arguments)
        assert "Traceback" not in done.stderr
        assert hostile.imported == []


def test_the_worker_does_not(hostile: HostileFolder) -> None:
    worker = WorkerProcess("f5")
    hello = worker.channel.receive(60)
    assert worker.end(False, ShutdownTimeouts())
    assert (hello and hello.kind, hostile.imported) == (FrameKind.HELLO, [])


def test_the_torch_check_of_the_doctor_does_not(hostile: HostileFolder, stub_torch: str) -> None:
    from ishowtts.cli import doctor

    needs_torch = Config(engine={"kind": "f5"})
    found = [finding.detail for finding in doctor._torch(needs_torch)]
    assert (len(found), stub_torch in found[0], hostile.imported) == (1, True, [])


@pytest.mark.f5
def test_a_measured_start_does_not(hostile: HostileFolder, stub_torch: str, tmp_path: Path) -> None:
    from ishowtts_bench import startup

    with pytest.raises(EngineError, match=f"the start of ours failed.*{stub_torch}"):
        startup.measure(tmp_path, "ours", cold=False, device="cpu", nfe_step=4)
    assert hostile.imported == []


def test_the_demo_does_not(hostile: HostileFolder, tmp_path: Path) -> None:
    done = run(sys.executable, ROOT / "scripts/demo.py", "One.", "--engine", "espeak", "--wav", tmp_path / "one.wav")
    assert (done.returncode, hostile.imported) == (0, []), done.stdout + done.stderr
    assert (tmp_path / "one.wav").stat().st_size > 1000


@pytest.mark.f5
def test_the_trainer_does_not(hostile: HostileFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    done = run(ROOT / "scripts/train-voice/train-voice", "--help")
    assert (done.returncode, hostile.imported) == (0, []), done.stderr


def test_a_child_process_finds_the_packages_of_pythonpath_and_not_our_modules_as_packages(tmp_path: Path) -> None:
    """PYTHONPATH works as with `python -m`, and our module systemd.py does not hide the package systemd."""
    (tmp_path / "shown.py").write_text(
        "import json, sys, ishowtts\nprint(json.dumps([__name__, sys.argv, sys.path, ishowtts.__file__]))\n"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        child_process.command("shown", "1", "2"), env=environment, cwd="/", capture_output=True, text=True, check=True
    )
    name, argv, path, package = json.loads(done.stdout)
    assert (name, argv[1:]) == ("__main__", ["1", "2"])
    assert str(tmp_path) in path
    assert package == str(ROOT / "daemon/ishowtts/__init__.py")
    assert not {"", "/", str(ROOT / "daemon/ishowtts")} & set(path)
