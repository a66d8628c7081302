"""Names in sentences: few of them, and the one that is meant, at a cost that an enemy cannot raise."""

from __future__ import annotations

import difflib

import pytest

from ishowtts.util.known_names import closest, listed

MANY = [f"{'x' * 60}{number:03d}" for number in range(500)]


def test_a_sentence_lists_twenty_names_at_most() -> None:
    assert listed(["bob", "anna"]) == "anna, bob"
    assert listed(MANY).endswith("019 and 480 more")
    assert listed([]) == ""


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [("ann", "anna"), ("hanna", "anna"), ("anan", "anna"), ("xyz", None), ("x" * 60 + "04", "x" * 60 + "104")],
)
def test_the_name_that_is_meant_is_found_among_many(wanted: str, meant: str | None) -> None:
    found = closest(wanted, [*MANY, "anna", "bob"], 0.7)
    assert found is not None and found.endswith("04") if meant and len(meant) > 9 else found == meant


def test_few_names_are_compared_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def matches(word: str, possibilities: list[str], n: int, cutoff: float) -> list[str]:
        compared.append(len(possibilities))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", matches)
    closest("x" * 61, MANY, 0.7)
    assert compared == [20]
