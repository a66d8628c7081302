from __future__ import annotations

import re
from itertools import islice

import pytest

from voice_training.texts import closed_vocabulary


def words_of(sentence: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z]+", sentence))


def test_there_are_twenty_different_words() -> None:
    assert len(set(closed_vocabulary.WORDS)) == 20


def test_sentences_depend_on_the_seed() -> None:
    first, again, other = (list(islice(closed_vocabulary.closed_sentences(seed), 50)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_sentences_have_one_to_five_words_and_every_word_also_occurs_alone() -> None:
    made = [words_of(sentence) for sentence in islice(closed_vocabulary.closed_sentences(0), 3000)]
    assert {len(words) for words in made} == {1, 2, 3, 4, 5}
    assert {word for words in made for word in words} == set(closed_vocabulary.WORDS)
    assert {words[0] for words in made if len(words) == 1} == set(closed_vocabulary.WORDS)


def test_groups_are_separated_by_commas_and_end_with_a_full_stop() -> None:
    for sentence in islice(closed_vocabulary.closed_sentences(1), 500):
        assert re.fullmatch(r"[a-z]+(,? [a-z]+)*\.", sentence)
    assert any("," in sentence for sentence in islice(closed_vocabulary.closed_sentences(1), 20))


@pytest.mark.parametrize("count", [1, 100, 400])
def test_held_out_sentences_are_never_generated(count: int) -> None:
    judged = closed_vocabulary.closed_held_out(count)
    assert len(set(judged)) == count
    made = {words_of(sentence) for sentence in islice(closed_vocabulary.closed_sentences(5), 20000)}
    assert not made & {words_of(sentence) for sentence in judged}
    assert {word for sentence in judged for word in words_of(sentence)} <= set(closed_vocabulary.WORDS)
