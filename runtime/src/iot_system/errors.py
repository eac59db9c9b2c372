"""One exception tree: the class says what the caller can do about it."""

from __future__ import annotations


class IotError(Exception):
    """Anything this system refuses or fails at, told in one sentence for a person."""


class InvalidInput(IotError):
    """The input breaks a rule: mend it, sending it again will not help. Names the field, the limit and the value."""


class TooLarge(InvalidInput):
    """The input is larger than a limit allows: send less at once."""


class Unauthenticated(IotError):
    """No credential, or not a valid one."""


class Forbidden(IotError):
    """The credential is valid, but it does not allow this."""


class NotFound(IotError):
    """What was asked for does not exist."""


class Conflict(IotError):
    """The state has moved on, or the thing exists already: read again, then decide."""


class PreconditionFailed(Conflict):
    """The state is not of the version that the caller named: read again, then decide."""


class Retry(IotError):
    """Nothing is wrong with the request: the same one may succeed later.

    ``after_s`` is the advised wait in seconds.
    """

    def __init__(self, message: str, *, after_s: float = 1.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class Overloaded(Retry):
    """A bound is reached (queue, stream, connections): slow down, then send again."""


class Unavailable(Retry):
    """A part of the system does not answer at present."""


class Fenced(IotError):
    """A newer epoch owns these partitions: give them up, whatever was not committed is the new owner's to redo."""

    def __init__(self, partitions: frozenset[int]) -> None:
        super().__init__(f"partitions {sorted(partitions)} are owned by a newer epoch")
        self.partitions = partitions


class InvalidSetting(IotError):
    """A setting that the system cannot start with: mend it and start again."""


def reason_of(error: BaseException) -> str:
    """What it says, or where it says nothing, as a time-out does, the name of its kind."""
    return str(error) or type(error).__name__
