"""Keys from the bytes of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ishowtts_gateway.terminal_view.terminal_keys import KeyReader


def keys(*pieces: bytes) -> list[str]:
    reader = KeyReader()
    return [key for piece in pieces for key in reader.keys(piece)]


@pytest.mark.parametrize(
    ("pieces", "pressed"),
    [
        ([b"sp+"], ["s", "p", "+"]), ([b"\t\x1b[Z"], ["next", "previous"]), ([b"\x1b[C\x1bOD"], ["next", "previous"]),
        ([b"\x1b"], ["escape"]), ([b"\x1b", b"q"], ["escape", "q"]), ([b"\x1b[", b"C", b"q"], ["next", "q"]),
        ([b"\x1b[15~\x1b[1;5Cs"], ["s"]), ([b"\x1b[200~skip me\x1b[201~m"], ["m"]),
        ([b"\x1b[200~skip", b"s\x1b[2", b"01~m"], ["m"]), (["ñé".encode()], []), ([b"\x00\x13\xff"], []),
        ([b"\x0c"], ["redraw"]), ([b""], []),
    ],
)  # fmt: skip
def test_bytes_become_keys_and_what_is_pasted_does_not(pieces: list[bytes], pressed: list[str]) -> None:
    assert keys(*pieces) == pressed


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_to_their_end(pieces: list[bytes]) -> None:
    assert isinstance(keys(*pieces, b"\x1b[201~", b"\x1b[201~"), list)
