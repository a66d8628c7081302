"""Every exception of the appliance, in one tree.

IShowError
├── LineError                  ends one line; the daemon goes on
│   ├── LineRejected           never accepted: carries a reason of the contract and a sentence
│   └── SynthesisError         this text could not be spoken by this engine
├── EngineError                ends an engine's service; the spare voice takes over
│   ├── WeightsError           missing, truncated or mismatched weights
│   ├── VoiceError             a voice that cannot be read or prepared
│   ├── EngineUnavailable      not ready, restarting or parked
│   └── WorkerDied             the worker ended or had to be ended
├── OperatorFileError          a file of words or pronunciations cannot be used; the last good one stays
├── SpeakerError               the sound device is absent, busy or lost
├── BoardError                 the board's clocks or sensors refused
├── BrokerError                the broker is not there, or refuses us
├── InboxError                 the inbox cannot keep its promise
├── CommandError               a command that the contract does not know or that cannot be obeyed
└── FatalError                 ends the daemon, with one sentence for the operator
    └── ConfigError            every fault of a configuration, collected

Foreign exceptions are translated into these once, where they enter.
"""

from __future__ import annotations


class IShowError(Exception):
    """Root of the tree; its text is one sentence for a person.

    Attributes:
        quotes_publisher: the text may hold words of a publisher, which a private log does not show.
    """

    quotes_publisher = False


class LineError(IShowError):
    """Ends one line."""

    quotes_publisher = True


class LineRejected(LineError):
    """A line that was never accepted.

    Args:
        reason: one of the contract's reasons (`speech.Reason`).
        detail: one sentence that names the thing and the mend.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SynthesisError(LineError):
    """This text could not be spoken by this engine."""


class EngineError(IShowError):
    """Ends an engine's service."""


class WeightsError(EngineError):
    """Missing, truncated or mismatched weights."""


class VoiceError(EngineError):
    """A voice that cannot be read or prepared."""


class EngineUnavailable(EngineError):
    """The engine is not ready, restarting or parked."""


class WorkerDied(EngineError):
    """The worker ended, or had to be ended, while it was needed."""


class OperatorFileError(IShowError):
    """A file of words or pronunciations cannot be used."""


class SpeakerError(IShowError):
    """The sound device is absent, busy or lost."""


class BoardError(IShowError):
    """The board's clocks or sensors refused."""


class BrokerError(IShowError):
    """The broker is not there, or refuses us."""


class InboxError(IShowError):
    """The inbox cannot keep its promise."""


class Cancelled(Exception):
    """Work was stopped because its caller asked for it.

    Not an `IShowError`: a handler of errors must not catch it.
    """


class CommandError(IShowError):
    """A command that the contract does not know, or that cannot be obeyed now."""

    quotes_publisher = True


class FatalError(IShowError):
    """Ends the daemon."""


class ConfigError(FatalError):
    """Every fault of a configuration.

    Args:
        problems: one sentence a fault, with file, line and key.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def first_line(error: Exception) -> str:
    """What somebody else's error says, without the stack that it may append; its name where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
