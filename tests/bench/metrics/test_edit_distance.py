from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts_bench.metrics import edit_distance

WORDS = st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=8)


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("the cat sat", "the cat sat", 0),
        ("the cat sat", "the cap sat", 1),
        ("the cat sat", "cat sat down", 2),
        ("the cat sat", "", 3),
        ("", "hello", 1),
        ("a note book here", "a notebook here", 0),
        ("at five p m", "at five pm", 0),
        ("fifty percent", "fifty per cent", 0),
        ("a note book here", "a note brook hear", 2),
    ],
)
def test_edits_are_counted(said: str, heard: str, count: int) -> None:
    assert edit_distance.count(said.split(), heard.split()) == count


@given(WORDS, WORDS)
def test_an_alignment_holds_every_word_of_both_in_order(said: list[str], heard: list[str]) -> None:
    steps = edit_distance.align(said, heard)
    assert [i for i, _ in steps if i is not None] == list(range(len(said)))
    assert [j for _, j in steps if j is not None] == list(range(len(heard)))
    assert abs(len(said) - len(heard)) <= sum(i is None or j is None or said[i] != heard[j] for i, j in steps)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_what_was_heard_right_is_given_back_to_each(references: list[list[str]]) -> None:
    assert edit_distance.split(references, [word for one in references for word in one]) == references


def test_a_clip_that_was_not_heard_costs_only_itself() -> None:
    references = [["good", "morning"], ["yes"], ["the", "bus", "is", "late"]]
    assert edit_distance.split(references, references[0] + references[2]) == [references[0], [], references[2]]


@pytest.mark.parametrize(
    ("heard", "first", "second"),
    [
        ("from came bridge dinner is ready", "from came bridge", "dinner is ready"),
        ("from cambridge then we are ready", "from cambridge", "then we are ready"),
        ("from cambridge well dinner is ready", "from cambridge well", "dinner is ready"),
    ],
)
def test_a_word_too_many_goes_to_the_clip_that_is_wrong_beside_it(heard: str, first: str, second: str) -> None:
    references = [["from", "cambridge"], ["dinner", "is", "ready"]]
    assert edit_distance.split(references, heard.split()) == [first.split(), second.split()]
