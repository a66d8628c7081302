"""SIGHUP applies what can change while the daemon runs, and says what needs a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.config import Config
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
    reload = ConfigReload(config.load(path), path, notifier)
    reload.start()
    yield reload
    reload.close(5)


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
    path.write_text(f"# a remark\n{START}")
    [sentence] = ask(reload, notifier, caplog)
    assert sentence.startswith(f"{path} has no change; lists of blocked words")


def test_each_changed_key_has_a_sentence_without_its_value(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("device: {name: hall}\naudio: {volume: 80}\nmqtt: {host: secret.lan}\n")
    restart = f"has changed in {path}: this needs a restart (systemctl restart ishowtts)"
    assert sorted(ask(reload, notifier, caplog)) == [f"device.name {restart}", f"mqtt.host {restart}"]
    assert len(ask(reload, notifier, caplog)) == 2, "it still needs one"


def test_what_a_reload_applies_is_handed_over_with_the_former_values(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    handed: list[tuple[Config, Config]] = []

    def apply(former: Config, new: Config) -> dict[str, str]:
        handed.append((former, new))
        return {"audio.volume": "a note"}

    reload.apply = apply
    path.write_text(
        f"{START}".replace("80", "70") + "alerts: {hot_c: 70}\ngateway: {controls: none}\nboard: {source: none}\n"
    )
    assert ask(reload, notifier, caplog) == [
        "audio.volume is 70 now (a note)",
        "alerts.hot_c is 70 now",
        f"board.source has changed in {path}: this needs a restart (systemctl restart ishowtts)",
        f"gateway.controls has changed in {path}: this needs a restart of the gateway "
        "(systemctl restart ishowtts-gateway)",
    ]
    [(former, new)] = handed
    assert (former.audio.volume, new.audio.volume, new.board.source, new.gateway.controls) == (80, 70, "auto", "auto")
    assert reload.config is new
    assert len(ask(reload, notifier, caplog)) == 2, "these still need a restart"
    assert len(handed) == 1


def test_what_cannot_be_applied_changes_nothing(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    def apply(_former: Config, _new: Config) -> dict[str, str]:
        raise CommandError("there is no chime 'gong'")

    before, reload.apply = reload.config, apply
    path.write_text(f"{START}alerts: {{hot_c: 70}}\n")
    refused, goes_on = ask(reload, notifier, caplog)
    assert (refused, reload.config) == ("there is no chime 'gong'", before)
    assert goes_on == "the configuration cannot be applied: the daemon goes on with the former one"
    assert reload.note is not None
    path.write_text(START)
    ask(reload, notifier, caplog)
    assert reload.note is None


def test_values_are_shown_short_and_lists_only_counted(
    reload: ConfigReload, path: Path, notifier: NotedNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    policies = f"{{blocked: {{words: [hush]}}, author_voices: {{bob: a, eve: b}}, template: '{{text}} {'x' * 150}'}}"
    path.write_text(
        f"{START}policies: {policies}\nqueue: {{max_age_s: 2000000}}\ntext: {{pronunciations: /etc/p.yaml}}\n"
    )
    sentences = ask(reload, notifier, caplog)
    assert sentences == [
        "policies.blocked.words has 1 entry now",
        f"policies.template is '{{text}} {'x' * 72}…' now",
        "policies.author_voices has 2 entries now",
        "text.pronunciations is /etc/p.yaml now",
        "queue.max_age_s is 2000000 now",
    ]


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
    assert last == "the configuration has faults: the daemon goes on with the former one"
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
        (START, True, "nothing has changed; lists of blocked words, "),
        (CHANGED, True, "log.level is debug now; these keys have changed and need a restart (systemctl restart "),
        (f"{START}alerts: {{slow_rtf: 0.5}}\n", True, "alerts.slow_rtf is 0.5 now"),
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
