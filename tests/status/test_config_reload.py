"""SIGHUP compares the configuration file with the one in use, and says what needs a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.errors import CommandError
from ishowtts.status.config_reload import ConfigReload
from ishowtts.systemd import Notifier
from support.waiting import eventually

START = "device: {name: kitchen}\naudio: {volume: 80}\nmqtt: {host: broker.lan}\n"


class NotedNotifier(Notifier):
    """Notes what systemd is told about the reload."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def reloading(self) -> None:
        self.told.append("reloading")

    def reloaded(self) -> None:
        self.told.append("reloaded")


@pytest.fixture
def notifier() -> NotedNotifier:
    return NotedNotifier()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(START)
    return path


@pytest.fixture
def reload(path: Path, notifier: NotedNotifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigReload]:
    monkeypatch.setattr("ishowtts.status.config_reload._MIN_INTERVAL_S", 0.0)
    level = logging.getLogger("ishowtts").level
    reload = ConfigReload(config.load(path), path, notifier)
    reload.start()
    yield reload
    reload.close(5)
    logging.getLogger("ishowtts").setLevel(level)


def ask(reload: ConfigReload, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ask for a comparison; returns what was logged."""
    caplog.clear()
    caplog.set_level("INFO")
    notifier.told.clear()
    reload.ask()
    eventually(lambda: notifier.told == ["reloading", "reloaded"], "the end of the reload", 5)
    return [record.getMessage() for record in caplog.records]


def test_an_unchanged_file_needs_no_restart(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"# a remark\n{START}audio2: {{}}\n".replace("audio2: {}\n", ""))
    [sentence] = ask(reload, notifier, caplog)
    assert sentence.startswith(f"{path} has no change that needs a restart; ")


def test_each_changed_key_has_a_sentence_without_its_value(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("device: {name: hall}\naudio: {volume: 80}\nmqtt: {host: secret.lan}\n")
    restart = f"has changed in {path}: this needs a restart (systemctl restart ishowtts)"
    assert sorted(ask(reload, notifier, caplog)) == [f"device.name {restart}", f"mqtt.host {restart}"]
    assert len(ask(reload, notifier, caplog)) == 2, "it still needs one"


def test_the_level_of_the_log_changes_at_once(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"{START}log: {{level: debug}}\n")
    sentences = ask(reload, notifier, caplog)
    assert sentences[0] == "log.level is debug now"
    assert "no change that needs a restart" in sentences[1]
    assert logging.getLogger("ishowtts").level == logging.DEBUG


def test_the_limits_of_the_alerts_change_at_once(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"{START}alerts: {{hot_c: 70}}\n")
    sentences = ask(reload, notifier, caplog)
    assert sentences[0] == "alerts.hot_c is 70 now"
    assert "no change that needs a restart" in sentences[1]
    assert reload.alerts().hot_c == 70
    path.write_text(f"{START}alerts: {{hot_c: 700}}\n")
    ask(reload, notifier, caplog)
    assert reload.alerts().hot_c == 70


@pytest.mark.parametrize(
    "broken",
    [
        ("audio: {volume: 300}\nno_such: 1\n", ["audio.volume", "no_such"]),
        ("audio: {volume", ["is not YAML"]),
        ("[1, 2]", ["must be a mapping"]),
        (None, ["cannot be read"]),
    ],
)
def test_a_broken_file_is_reported_with_its_faults_and_the_daemon_goes_on(
    reload: ConfigReload,
    path: Path,
    notifier: NotedNotifier,
    caplog: pytest.LogCaptureFixture,
    broken: tuple[str | None, list[str]],
) -> None:
    text, words = broken
    path.unlink()
    if text is not None:
        path.write_text(text)
    *faults, last = ask(reload, notifier, caplog)
    assert len(faults) == len(words)
    assert not [word for word in words if word not in " ".join(faults)]
    assert last == "the configuration has faults: the daemon goes on with the one that it has"
    path.write_text(START)
    assert "no change" in ask(reload, notifier, caplog)[0]


def test_an_unexpected_error_does_not_end_the_thread(
    path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Path) -> config.Config:
        raise MemoryError

    reload = ConfigReload(config.load(path), path, notifier, fails)
    reload.start()
    assert "goes on as before" in ask(reload, notifier, caplog)[0]
    assert reload.alive()
    reload.close(5)


CHANGED = "device: {name: hall}\naudio: {volume: 80}\nmqtt: {host: secret.lan}\nlog: {level: debug}\n"


@pytest.mark.parametrize(
    ("text", "ok", "words"),
    [
        (START, True, "nothing has changed that needs a restart; lists of blocked words, "),
        (CHANGED, True, "log.level is debug now; these keys have changed and need a restart (systemctl restart "),
        (f"{START}alerts: {{slow_rtf: 0.5}}\n", True, "alerts.slow_rtf is 0.5 now; no other key has changed"),
        (f"{START}log: {{level: loud}}\n", False, "the configuration has faults, so nothing is changed: "),
        ("".join(f"key{n}: 1\n" for n in range(9)), False, "; and 4 more"),
    ],
)
def test_a_request_is_answered_with_what_changed_or_with_the_faults(
    reload: ConfigReload, path: Path, text: str, ok: bool, words: str
) -> None:
    path.write_text(text)
    answer = reload.request()
    error = answer.exception(10)
    sentence = answer.result() if error is None else str(error)
    assert (error is None, words in sentence) == (ok, True), sentence
    assert "secret.lan" not in sentence
    assert ("device.name, mqtt.host" in sentence) == (text == CHANGED)


def test_a_flood_of_requests_reads_the_file_once_a_second(path: Path, notifier: NotedNotifier) -> None:
    reload = ConfigReload(config.load(path), path, notifier)
    answers = [reload.request() for _ in range(50)]
    reload.run_once(last=False)
    assert notifier.told == ["reloading", "reloaded"]
    assert all(answer.done() for answer in answers)
    later = reload.request()
    assert 0 < reload.run_once(last=False) <= 1
    assert not later.done()
    reload.run_once(last=True)
    for refused in (later, reload.request()):
        assert isinstance(refused.exception(0), CommandError), "a command never stays unfinished"
