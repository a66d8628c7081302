"""Errors of a training. Each message is one sentence that names the fix."""

from __future__ import annotations

from ishowtts.errors import IShowError


class TrainingError(IShowError):
    """A training cannot continue because of its speech, its recipe or its state."""
