"""One line per refusal, but no more than a client can be allowed to write into our log."""

from __future__ import annotations

from collections.abc import Callable

import structlog

LINES_A_SECOND = 10
log = structlog.get_logger()


class Refusals:
    """Logs `LINES_A_SECOND` at most, so that no client can fill the disk; ``context`` is part of each line.

    The first line of the next second says how many were left out.
    """

    def __init__(self, now_s: Callable[[], float], **context: str) -> None:
        self._now_s = now_s
        self._context = context
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def tell(self, reason: str, why: str, **more: str | None) -> None:
        """Something is refused for ``reason``, one of few words; ``why`` is a sentence."""
        second = int(self._now_s())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND:
            self._left_out += 1
            return
        left_out = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        log.warning("refused", reason=reason, why=why, **self._context, **more, **left_out)
