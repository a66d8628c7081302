from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts_bench.metrics import edit_distance

WORDS = st.lists(st.sampled_from(["a", "b", "c", "ab"]), max_size=8)


@pytest.mark.parametrize(
    ("reference", "transcript", "count"),
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
def test_edits_are_counted(reference: str, transcript: str, count: int) -> None:
    assert edit_distance.count(reference.split(), transcript.split()) == count


@given(WORDS, WORDS)
def test_an_alignment_holds_every_word_of_both_in_order(reference: list[str], transcript: list[str]) -> None:
    steps = edit_distance.align(reference, transcript)
    assert [i for i, _ in steps if i is not None] == list(range(len(reference)))
    assert [j for _, j in steps if j is not None] == list(range(len(transcript)))
    assert abs(len(reference) - len(transcript)) <= sum(
        i is None or j is None or reference[i] != transcript[j] for i, j in steps
    )


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_an_exact_transcript_is_split_into_the_references(references: list[list[str]]) -> None:
    assert edit_distance.split(references, [word for one in references for word in one]) == references


def test_a_missing_clip_does_not_change_the_others() -> None:
    references = [["good", "morning"], ["yes"], ["the", "bus", "is", "late"]]
    assert edit_distance.split(references, references[0] + references[2]) == [references[0], [], references[2]]


@pytest.mark.parametrize(
    ("transcript", "first", "second"),
    [
        ("from came bridge dinner is ready", "from came bridge", "dinner is ready"),
        ("from cambridge then we are ready", "from cambridge", "then we are ready"),
        ("from cambridge well dinner is ready", "from cambridge well", "dinner is ready"),
    ],
)
def test_an_extra_word_goes_to_the_clip_with_an_error_next_to_it(transcript: str, first: str, second: str) -> None:
    references = [["from", "cambridge"], ["dinner", "is", "ready"]]
    assert edit_distance.split(references, transcript.split()) == [first.split(), second.split()]
