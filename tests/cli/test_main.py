"""The command line: what each command imports, the configuration that it reads, and how it ends."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ishowtts.__main__ import main as entry_point
from ishowtts.cli.common import read_config
from ishowtts.cli.main import COMMANDS, main

HEAVY = {"numpy", "scipy", "torch", "soundfile", "soxr", "rich", "wetext", "re2", "emoji", "psutil"}
LIBRARIES = HEAVY | {"pydantic", "yaml", "paho", "sqlite3"}
REPORT = """
import sys
from ishowtts.__main__ import main as entry_point
from ishowtts.cli.common import read_config
from ishowtts.cli.main import main
try:
    main()
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported_by(*arguments: str | Path) -> set[str]:
    """The top-level packages that a command imports."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"state_dir": str(tmp_path), "device": {"name": "cellar"}, "mqtt": {"port": 1}}))
    return path


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("sing",), *((name, "--help") for name in ("say", "status", "skip"))],
)
def test_help_imports_no_library(arguments: tuple[str, ...]) -> None:
    assert not imported_by(*arguments) & LIBRARIES


@pytest.mark.parametrize("command", ["check", "history"])
def test_what_reads_files_imports_no_engine_and_no_network(config: Path, command: str) -> None:
    assert not imported_by(command, "--config", config) & (HEAVY | {"paho"})


def test_the_help_of_history_imports_no_library() -> None:
    assert not imported_by("history", "--help") & LIBRARIES


@pytest.mark.parametrize("arguments", [("status",), ("say", "hello"), ("skip",)])
def test_commands_over_mqtt_import_no_engine(config: Path, arguments: tuple[str, ...]) -> None:
    imported = imported_by(*arguments, "--config", config)
    assert "paho" in imported
    assert not imported & HEAVY


def test_the_credentials_of_the_service_are_used_with_its_own_configuration_only(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt-password").write_text("s3cret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")  # so that it is unset again after the test
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    arguments = argparse.Namespace(config=config)
    read_config(arguments)
    assert "CREDENTIALS_DIRECTORY" not in os.environ
    monkeypatch.setattr("ishowtts.cli.common.DEFAULT_CONFIG", str(config))
    read_config(arguments)
    assert os.environ["CREDENTIALS_DIRECTORY"] == str(tmp_path)


def test_help_names_each_command_and_each_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, does in COMMANDS.items():
        assert f"{name} {does}" in shown
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"{does[1:]}." in " ".join(capsys.readouterr().out.split())


def test_the_environment_names_the_configuration_and_the_option_wins(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("cellar", "attic"))
    monkeypatch.setenv("ISHOWTTS_CONFIG", str(config))
    for arguments, name in (
        (["check"], "cellar"),
        (["check", "--config", str(other)], "attic"),
        (["--config", str(other), "check"], "attic"),
        ([f"--config={other}", "check", "--json"], "attic"),
    ):
        assert main(arguments) == 0
        assert f"ishowtts/{name}" in capsys.readouterr().out
    monkeypatch.setenv("ISHOWTTS_CONFIG", str(tmp_path / "none.yaml"))
    assert main(["check"]) == 2
    assert "none.yaml: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--config"], ["--config", "a.yaml"], [], ["sing"], ["--sing"]])
def test_words_that_name_no_command_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: ishowtts" in capsys.readouterr().err


def test_an_interrupt_while_a_command_is_imported_ends_it_quietly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["ishowtts.cli.main"], "import_module", interrupt)
    assert main(["check"]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_during_the_first_import_ends_it_quietly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "ishowtts.cli", Interrupted())
    assert entry_point() == 130
    assert capsys.readouterr() == ("", "")
