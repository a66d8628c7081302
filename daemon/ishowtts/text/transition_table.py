"""A small form of py3langid's transition table: 4 MB instead of 39 MB, with the same entries.

The table of the finite-state machine has a row of 256 next states for each state. Nearly all of them are those of the
state after the last byte alone, so only the others are kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

_BYTES = 256


class TransitionTable:
    """Next states by `row * 256 + byte`, as in the table that it is made from.

    Args:
        next_states: [rows * 256] uint32. The state 0 is that before the first byte.
        row_of_state: [states] the row of each state.
    """

    def __init__(self, next_states: array[int], row_of_state: array[int]) -> None:
        table = np.frombuffer(next_states, np.uint32).reshape(-1, _BYTES)
        rows = np.frombuffer(row_of_state, np.uint16)
        last_byte = np.zeros(len(rows), np.uint8)
        for byte in range(_BYTES):
            last_byte[table[:, byte]] = byte
        state_of_row = np.zeros(len(table), np.uint32)
        state_of_row[rows] = np.arange(len(rows), dtype=np.uint32)
        byte_of_row = last_byte[state_of_row]
        usual = table[rows[table[rows[0]]]]  # by last byte: the row after this byte alone
        unusual = np.empty_like(table, dtype=bool)
        for byte in range(_BYTES):  # one byte at a time: a whole copy would take 39 MB
            of_byte = byte_of_row == byte
            unusual[of_byte] = table[of_byte] != usual[byte]
        self._usual = array("I", usual.tobytes())
        self._byte_of_row = byte_of_row.tobytes()
        self._ends = array("I", np.concatenate([[0], np.cumsum(unusual.sum(axis=1))]).astype(np.uint32).tobytes())
        self._bytes = np.nonzero(unusual)[1].astype(np.uint8).tobytes()
        self._states: Sequence[int] = array("I", table[unusual].tobytes())

    def __getitem__(self, index: int) -> int:
        """The next state: `index` is `row * 256 + byte`."""
        row, byte = index >> 8, index & 255
        place = self._bytes.find(byte, self._ends[row], self._ends[row + 1])
        return self._states[place] if place >= 0 else self._usual[self._byte_of_row[row] << 8 | byte]
