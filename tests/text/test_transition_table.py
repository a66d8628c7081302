"""The small table has every entry of py3langid's."""

from __future__ import annotations

from array import array

import numpy as np
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from ishowtts.text.transition_table import TransitionTable


def test_it_has_the_entries_of_the_whole_table() -> None:
    whole = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    small = TransitionTable(whole.tk_nextmove, whole.tk_row)
    places = np.random.default_rng(0).integers(0, len(whole.tk_nextmove), 200_000).tolist()
    assert [small[place] for place in places] == [whole.tk_nextmove[place] for place in places]


def test_a_table_may_have_one_row() -> None:
    assert TransitionTable(array("I", [0] * 256), array("H", [0]))[97] == 0
