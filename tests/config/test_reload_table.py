"""Each key of the configuration is in the table of reloads once, and a merge takes only what a reload applies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ishowtts import config
from ishowtts.config import Config
from ishowtts.config.reload_table import RELOAD_TABLE, TakesEffect, changes, keys_of, takes_effect, with_reloaded

ROOT = Path(__file__).resolve().parents[2]
KEYS = list(keys_of(Config))


def test_each_key_of_the_schema_has_one_entry() -> None:
    for key in KEYS:
        parts = key.split(".")
        entries = [entry for n in range(1, len(parts) + 1) if (entry := ".".join(parts[:n])) in RELOAD_TABLE]
        assert len(entries) == 1, key
        assert takes_effect(key) is RELOAD_TABLE[entries[0]]


def test_each_entry_is_a_key_or_a_section_of_the_schema() -> None:
    sections = {key[:dot] for key in KEYS for dot in range(len(key)) if key[dot] == "."}
    assert set(RELOAD_TABLE) - set(KEYS) - sections == set()


def test_a_key_without_an_entry_is_an_error() -> None:
    with pytest.raises(KeyError):
        takes_effect("nothing.of_the_kind")


def test_a_merge_keeps_what_needs_a_restart() -> None:
    in_use = config.parse("device: {name: a}\nlimits: {renders: 4, max_chars: 10}\n", "old")
    text = (
        "device: {name: b}\nlimits: {renders: 8, max_chars: 20}\npolicies: {quiet: {from: 22:00, to: 06:00}}\n"
        "gateway: {controls: none}\naudio: {device: silent, pause_s: 2}\n"
    )
    found = config.parse(text, "new")
    merged = with_reloaded(in_use, found)
    kept = {"device.name", "limits.renders", "gateway.controls", "audio.device"}
    assert {key for key, _, _ in changes(merged, found)} == kept
    assert {key for key, _, _ in changes(in_use, merged)} == {
        *("limits.max_chars", "policies.quiet.from", "policies.quiet.to", "audio.pause_s")
    }
    assert all(takes_effect(key) is not TakesEffect.RELOAD for key in kept)


def test_changes_have_the_values_before_and_after() -> None:
    old, new = config.parse("", "old"), config.parse("policies: {author_voices: {bob: anna}}", "new")
    assert list(changes(old, new)) == [("policies.author_voices", {}, {"bob": "anna"})]


MARKS = {"(restart)": TakesEffect.RESTART, "(gateway restart)": TakesEffect.GATEWAY_RESTART}


def test_the_comments_of_the_shipped_file_mark_what_needs_a_restart() -> None:
    lines = (ROOT / "config/ishowtts.yaml").read_text(encoding="utf-8").splitlines()
    effects: dict[str, TakesEffect] = {"": TakesEffect.RELOAD}
    path: list[str] = []
    for line in lines:
        if found := re.match(r"( *)([a-z0-9_]+):", line):
            depth = len(found[1]) // 2
            path = [*path[:depth], found[2]]
            mark = next((effect for mark, effect in MARKS.items() if f"# {mark}" in line), None)
            effects[".".join(path)] = mark or effects[".".join(path[:-1])]
    shown = [key for key in KEYS if not key.startswith("engine.f5.optimisations.")]  # old names, which work still
    assert {key: effects[key] for key in shown} == {key: takes_effect(key) for key in shown}


def test_the_table_of_the_documentation_is_this_one() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = page.split("\n## Reload\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"\n\| (`[^|]+) \| ([^|]+) \|", section)
    assert {key: effect for keys, effect in rows for key in re.findall(r"`([^`]+)`", keys)} == {
        key: effect.value for key, effect in RELOAD_TABLE.items()
    }
