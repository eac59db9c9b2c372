"""Why a message is not stored, as its sender is told."""

from __future__ import annotations

from iot_system.adapters.mqtt.inbound import Refusal
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    Overloaded,
    Retry,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

_REASONS: tuple[tuple[type[Exception], str, ReasonCode], ...] = (
    (TooLarge, "too_large", ReasonCode.PAYLOAD_FORMAT_INVALID),
    (InvalidInput, "payload", ReasonCode.PAYLOAD_FORMAT_INVALID),
    (NotFound, "not_found", ReasonCode.TOPIC_NAME_INVALID),
    (Forbidden, "forbidden", ReasonCode.NOT_AUTHORIZED),
    (Unauthenticated, "unauthenticated", ReasonCode.NOT_AUTHORIZED),
    (Overloaded, "overloaded", ReasonCode.QUOTA_EXCEEDED),
    (Unavailable, "unavailable", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR),
)
_UNFORESEEN = ("error", ReasonCode.UNSPECIFIED_ERROR)
_UNSURE = frozenset({"overloaded", "unavailable", "error"})
"""Where all of a message or a part of it may be stored."""


def refusal_of(problem: Exception, pause_s: float) -> Refusal:
    """``pause_s`` is the wait advised where the problem advises no longer one."""
    known = ((word, code) for kind, word, code in _REASONS if isinstance(problem, kind))
    reason, code = next(known, _UNFORESEEN)
    after_s = max(problem.after_s, pause_s) if isinstance(problem, Retry) else pause_s
    return Refusal(reason, str(problem), after_s, code, is_final=reason not in _UNSURE)


def topic_refusal(problem: Exception, pause_s: float) -> Refusal:
    """The topic itself is not one that the sender may publish to, or none at all."""
    code = ReasonCode.NOT_AUTHORIZED if isinstance(problem, Forbidden) else ReasonCode.TOPIC_NAME_INVALID
    return Refusal("topic", str(problem), pause_s, code)
