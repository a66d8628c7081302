"""The voices of an appliance whose segments others render: those of the boards, and those in its own folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ishowtts.engines.voices.voice_library import DEFAULT, Voice, VoiceLibrary
from ishowtts.limits import NAME

BoardVoices = Callable[[], dict[str, str | None] | None]
"""Returns the voices of the boards with their languages; `None` while they are unknown."""


class BoardVoiceLibrary(VoiceLibrary):
    """Finds the voices of the boards, which have no files here. While they are unknown, any valid name is a voice.

    A line is refused for an unknown voice once and for all, and lines that waited at the broker may come before the
    boards are known.

    Args:
        of_boards: See `BoardVoices`.
        voices_dir, uploaded_dir: See `VoiceLibrary`.
    """

    def __init__(self, of_boards: BoardVoices, voices_dir: Path | None, uploaded_dir: Path | None = None) -> None:
        super().__init__(voices_dir, uploaded_dir)
        self._of_boards = of_boards

    def names(self) -> list[str]:
        """Returns the sorted names of all voices."""
        return sorted({*super().names(), *(self._of_boards() or ())})

    def has(self, name: str) -> bool:
        """Returns whether there is such a voice."""
        return self._is_of_board(name) or super().has(name)

    def versions(self) -> dict[str, str]:
        """Returns a version of each voice, by name. That of a board's voice does not change with its files."""
        return {**super().versions(), **dict.fromkeys(self._of_boards() or (), "of a board")}

    def find(self, name: str | None, default: str = DEFAULT) -> Voice:
        """Returns the voice of this name (`None`: the default one). One of a board has neither a clip nor words.

        Raises:
            VoiceError: there is no such voice.
        """
        wanted = default if name is None else name
        if self._is_of_board(wanted):
            return Voice(wanted, Path(), "", language=(self._of_boards() or {}).get(wanted), version="of a board")
        return super().find(name, default)

    def _is_of_board(self, name: str) -> bool:
        voices = self._of_boards()
        return NAME.fullmatch(name) is not None if voices is None else name in voices
