"""The exceptions that packages share. All of them except `Cancelled` are in one tree.

IShowError
├── LineError                  ends one line; the daemon goes on
│   ├── LineRejected           a line is not accepted: a reason of the contract, and a sentence
│   └── SynthesisError         this engine cannot speak this text
├── EngineError                an engine cannot do what was asked; the fallback speaks
│   ├── WeightsError           missing, truncated or mismatched weights
│   ├── PackageError           a package that is missing or does not load
│   ├── VoiceError             a voice that cannot be read or prepared
│   ├── EngineUnavailable      not ready, restarting or parked
│   │   └── EngineLate         it has kept a listener waiting for too long
│   └── WorkerDied             the worker ended or had to be killed
├── OperatorFileError          an operator's file cannot be used; the last good content stays in force
├── SpeakerError               the sound device is absent, busy or lost
├── BoardError                 the board's clocks or sensors cannot be used
├── BrokerError                the broker is absent or refuses the connection
│   └── SubscriptionRefused    it refuses to send messages of some topics
├── InboxError                 the line queue cannot store lines durably
├── BackupError                a backup cannot be made, read or restored
├── CommandError               a command that is unknown or cannot be executed
└── FatalError                 ends the daemon, with one sentence for the operator
    └── ConfigError            every error of a configuration, collected
        └── NamedFileError     a file that the configuration names, or its own file, cannot be used now

Exceptions of other libraries are translated into these once, where they enter. An exception that does not leave its
package is defined there.
"""

from __future__ import annotations


class IShowError(Exception):
    """Root of the tree. Its text is one sentence for a person.

    Attributes:
        quotes_publisher: Whether the text may quote a publisher. A private log does not show such a text.
    """

    quotes_publisher = False


class LineError(IShowError):
    """Ends one line; the daemon goes on."""

    quotes_publisher = True


class LineRejected(LineError):
    """A line is not accepted.

    Args:
        reason: One of the contract's reasons (`model.Reason`).
        detail: One sentence that names the problem and the fix.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SynthesisError(LineError):
    """This engine cannot speak this text."""


class EngineError(IShowError):
    """An engine cannot do what was asked; the fallback speaks."""


class WeightsError(EngineError):
    """Missing, truncated or mismatched weights."""


class PackageError(EngineError):
    """A package that an engine needs is missing or does not load. Only an installation fixes it."""


class VoiceError(EngineError):
    """A voice that cannot be read or prepared."""


class EngineUnavailable(EngineError):
    """The engine is not ready, restarting or parked."""


class EngineLate(EngineUnavailable):
    """The engine has kept a listener waiting for too long. It may answer later."""


class WorkerDied(EngineError):
    """The worker ended, or had to be killed, while it was needed."""


class OperatorFileError(IShowError):
    """An operator's file of words, pronunciations or chimes cannot be used."""


class SpeakerError(IShowError):
    """The sound device is absent, busy or lost."""


class BoardError(IShowError):
    """The board's clocks or sensors cannot be used."""


class BrokerError(IShowError):
    """The broker is absent or refuses the connection."""


class SubscriptionRefused(BrokerError):
    """The broker refuses to send messages of some topics. It sends those of the others.

    Attributes:
        topics: The topics that it refuses.
    """

    def __init__(self, problem: str, topics: frozenset[str]) -> None:
        super().__init__(problem)
        self.topics = topics


class InboxError(IShowError):
    """The line queue cannot store lines durably."""


class BackupError(IShowError):
    """A backup cannot be made, read or restored."""


class Cancelled(Exception):
    """Work was stopped because its caller asked for it.

    Not an `IShowError`, so that a handler of errors does not catch it.
    """


class CommandError(IShowError):
    """A command that the contract does not know, or that cannot be executed now."""

    quotes_publisher = True


class FatalError(IShowError):
    """Ends the daemon."""


class ConfigError(FatalError):
    """Every error of a configuration.

    Args:
        problems: One sentence for each error, with file, line and key.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NamedFileError(ConfigError):
    """The file of the configuration, or one that it names, cannot be used now.

    A service tries again: the file may be written later, or its file system may be mounted later.
    """


def first_line(error: Exception) -> str:
    """Returns the first line of another library's error, without an appended stack. Its type's name if it is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
