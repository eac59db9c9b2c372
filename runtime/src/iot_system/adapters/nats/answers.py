"""What JetStream answers to a message that was published to a stream."""

from __future__ import annotations

import msgspec

IS_FULL = frozenset({10077, 10047, 10023})
"""JetStream error codes: maximum bytes exceeded, insufficient storage, insufficient resources."""
TOO_LARGE = 10054
"""JetStream's error code of a message beyond the limit of its stream."""


class Problem(msgspec.Struct):
    """Why it was not stored."""

    err_code: int = 0
    description: str = ""


class Answer(msgspec.Struct):
    """Its sequence, or why it has none."""

    seq: int = 0
    error: Problem | None = None


decode_answer = msgspec.json.Decoder(Answer).decode
