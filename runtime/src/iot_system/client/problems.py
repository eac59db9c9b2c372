"""Answers that are refusals become the `IotError` that they tell of."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import msgspec

from iot_system import errors

_BY_NAME: Mapping[str, type[errors.IotError]] = {
    "too-large": errors.TooLarge,
    "invalid-input": errors.InvalidInput,
    "unauthenticated": errors.Unauthenticated,
    "forbidden": errors.Forbidden,
    "not-found": errors.NotFound,
    "conflict": errors.Conflict,
    "precondition-failed": errors.PreconditionFailed,
    "overloaded": errors.Overloaded,
    "unavailable": errors.Unavailable,
}
_BY_STATUS: Mapping[int, type[errors.IotError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    429: errors.Overloaded,
}
LONGEST_ADVICE_S = 120.0
_SHOWN = 200


class SystemFault(errors.IotError):
    """The system failed inside, or gave an answer that this client does not understand: neither is the caller's."""


class Rejection(msgspec.Struct, frozen=True):
    """Why one item of many was refused: its ``index`` from 0 or ``line`` from 1, a problem's type, and a sentence."""

    type: str
    detail: str
    index: int | None = None
    line: int | None = None


class Problem(msgspec.Struct, frozen=True):
    """The parts of problem details (RFC 9457) that a program uses."""

    type: str
    detail: str
    errors: list[Rejection] = []


def problem_of(response: httpx.Response) -> Problem | None:
    """The problem that an answer bears, or None: a proxy on the way may answer in other words."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        return None


def error_of(response: httpx.Response) -> errors.IotError:
    """The error that an answer without success is, with the system's own sentence."""
    request, problem = response.request, problem_of(response)
    said = problem.detail if problem else response.text[:_SHOWN] or response.reason_phrase
    sentence = f"{request.method} {request.url.path} was answered {response.status_code}: {said}"
    known = _BY_NAME.get(_name(problem.type)) if problem else None
    return _made(known or _by_status(response.status_code), sentence, retry_after_s(response))


def error_of_item(rejection: Rejection) -> errors.IotError:
    """The error that the refusal of one item is."""
    return _made(_BY_NAME.get(_name(rejection.type), errors.InvalidInput), rejection.detail, 0.0)


def retry_after_s(response: httpx.Response) -> float:
    """Seconds to wait as ``Retry-After`` has it, `LONGEST_ADVICE_S` at most; 0 where it says nothing."""
    value = response.headers.get("Retry-After", "")
    return min(float(value), LONGEST_ADVICE_S) if value.isascii() and value.isdigit() else 0.0


def _by_status(status: int) -> type[errors.IotError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in (502, 503, 504):
        return errors.Unavailable
    return errors.InvalidInput if 400 <= status < 500 else SystemFault


def _made(kind: type[errors.IotError], sentence: str, after_s: float) -> errors.IotError:
    return kind(sentence, after_s=after_s or 1.0) if issubclass(kind, errors.Retry) else kind(sentence)


def _name(type_: str) -> str:
    return type_.rpartition("/")[2]
