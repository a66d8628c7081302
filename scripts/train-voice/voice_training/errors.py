"""What can go wrong in a training, in one sentence that names the mend."""

from __future__ import annotations

from ishowtts.errors import IShowError


class TrainingError(IShowError):
    """A training cannot go on: its speech, its recipe or its state."""
