"""scripts/test with stand-ins for the set-up, the checks and pytest: what runs, what is printed, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]

# Stands for pytest on one Python: both wait for one another, so each proves that the other runs at the same time.
PYTEST = """#!/bin/bash
case "$*" in *--collect-only*) touch "{root}/{name}.compiled"; exit {compile_status} ;; esac
echo "$*" >"{root}/{name}.arguments"
echo "{name} begins"
touch "{root}/{name}.runs"
waits="{wait_for}"
for ((i = 0; i < 1000; i++)); do [ -z "$waits" ] || [ -e "{root}/$waits.runs" ] && break; sleep 0.01; done
[ "$i" -lt 1000 ] || exit 1
echo "{name} ends"
echo "{last}"
exit {status}
"""


class Checkout:
    """A checkout with the real scripts/test; every program that it starts is a stand-in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.script("scripts/test", (ROOT / "scripts/test").read_text())
        self.setup("exit 0")
        self.script("scripts/check", "#!/bin/sh\necho checked\n")
        self.script("bin/python3.10", "#!/bin/sh\n")
        self.pytest("main", wait_for="second")
        self.pytest("second", wait_for="main")

    def script(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def setup(self, core: str) -> None:
        self.script("scripts/setup", f'#!/bin/sh\nif [ "$1" = core ]; then {core}; fi\n')

    def pytest(
        self, name: str, last: str = "3 passed in 1.0s", status: int = 0, wait_for: str = "", compile_status: int = 1
    ) -> None:
        place = ".venv/bin/python" if name == "main" else ".venv-3.10/bin/python"
        values = {"name": name, "wait_for": wait_for, "last": last, "status": status, "compile_status": compile_status}
        self.script(place, PYTEST.format(root=self.root, **values))

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["env", "--default-signal=INT", self.root / "scripts/test", *arguments],  # a shell's `&` has it ignored
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "TMPDIR": str(self.root)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, list[str]]:
        with self.command(*arguments) as process:
            output, _ = process.communicate(timeout=30)
        assert not list(self.root.glob("tmp.*")), "the logs stay behind"
        return process.returncode, output.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_both_pythons_run_at_the_same_time_and_each_output_is_whole(checkout: Checkout) -> None:
    assert checkout.run() == (
        0,
        [
            "checked",
            "== tests", "main begins", "main ends", "3 passed in 1.0s",
            "== tests on Python 3.10, which ran at the same time", "second begins", "second ends", "3 passed in 1.0s",
            "6 passed, 0 failed",
        ],
    )  # fmt: skip


def test_the_tests_are_compiled_before_they_run_and_a_failure_of_that_does_not_count(checkout: Checkout) -> None:
    assert checkout.run()[0] == 0
    assert (checkout.root / "main.compiled").stat().st_mtime_ns <= (checkout.root / "main.runs").stat().st_mtime_ns


def test_tests_that_have_not_changed_since_they_were_compiled_are_not_compiled_again(checkout: Checkout) -> None:
    for folder in ("tests", "daemon"):
        (checkout.root / folder).mkdir()
    test, compiled = checkout.root / "tests/test_one.py", checkout.root / "main.compiled"

    def compiles(status: int) -> bool:
        compiled.unlink(missing_ok=True)
        checkout.pytest("main", compile_status=status)
        checkout.run()
        return compiled.exists()

    test.touch()
    assert [compiles(1), compiles(0), compiles(0)] == [True, True, False]
    test.write_text("changed")
    assert [compiles(0), compiles(0)] == [True, False]


def test_the_second_python_runs_tests_that_exist(checkout: Checkout) -> None:
    checkout.run()
    words = (checkout.root / "second.arguments").read_text().split()
    paths = [word.removeprefix("--ignore=") for word in words if "tests/" in word]
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("failing", ["main", "second"])
def test_a_failure_on_either_python_counts(checkout: Checkout, failing: str) -> None:
    checkout.pytest(failing, "1 failed, 2 passed, 1 error in 1.0s", status=1)
    status, lines = checkout.run()
    assert (status, lines[-1]) == (1, "5 passed, 2 failed")


def test_a_second_python_that_cannot_be_set_up_is_a_failure(checkout: Checkout) -> None:
    checkout.pytest("main")
    checkout.setup("echo no network; exit 1")
    status, lines = checkout.run()
    assert (status, lines[-1], "no network" in lines) == (1, "3 passed, 0 failed", True)


def test_faults_that_the_checks_find_fail_the_run_after_the_tests(checkout: Checkout) -> None:
    checkout.script("scripts/check", "#!/bin/sh\nexit 1\n")
    status, lines = checkout.run()
    assert (status, lines[-1]) == (1, "6 passed, 0 failed")


def test_arguments_go_to_pytest_on_the_first_python_alone(checkout: Checkout) -> None:
    checkout.pytest("main")
    status, lines = checkout.run("-k", "two words")
    assert (status, lines[-1]) == (0, "3 passed, 0 failed")
    assert (checkout.root / "main.arguments").read_text().endswith("-k two words\n")
    assert not (checkout.root / "second.runs").exists()
    assert not (checkout.root / "main.compiled").exists(), "a few tests are compiled by whoever runs them"


def test_without_a_second_python_it_says_so(checkout: Checkout) -> None:
    checkout.pytest("main")
    checkout.script("bin/python3.10", "#!/bin/sh\nexit 1\n")
    status, lines = checkout.run()
    assert (status, "no Python 3.10 was found: the tests did not run on it" in lines) == (0, True)


@pytest.mark.parametrize("whom", ["the group, as Ctrl-C does", "the script alone"])
def test_the_second_python_does_not_outlive_an_interrupted_run(checkout: Checkout, whom: str) -> None:
    checkout.pytest("second", wait_for="never")
    checkout.pytest("main", wait_for="never")
    with checkout.command() as process:
        try:
            eventually(lambda: all((checkout.root / f"{name}.runs").exists() for name in ("main", "second")))
            if whom == "the script alone":
                process.terminate()
            else:
                os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) != 0
            assert _processes_of(checkout.root) == []
            assert not list(checkout.root.glob("tmp.*"))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_an_interrupted_run_does_not_wait_until_a_root_folder_is_built(checkout: Checkout) -> None:
    for name in ("debootstrap", "systemd-nspawn"):
        checkout.script(f"bin/{name}", "#!/bin/sh\n")
    checkout.script("bin/id", "#!/bin/sh\necho 0\n")
    checkout.script("bin/python3.10", "#!/bin/sh\nexit 1\n")
    building, checking = checkout.root / "building", checkout.root / "checking"
    # Without `touch`: sh ignores a SIGINT that comes while it waits for a program that then ends by itself.
    checkout.script("scripts/test-appliance", f"#!/bin/sh\n: > {building}\nexec sleep 300\n")
    checkout.script("scripts/check", f"#!/bin/sh\n: > {checking}\nexec sleep 300\n")
    with checkout.command() as process:
        try:
            eventually(lambda: building.exists() and checking.exists())
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) != 0
            assert not list(checkout.root.glob("tmp.*"))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _processes_of(root: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text()
        except OSError:
            continue
        if ".venv-3.10/bin/python" in words and (process / "cwd").resolve() == root:
            found.append(words)
    return found
