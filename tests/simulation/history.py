"""What happened in a simulation, as a person reads it: when, who, what."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.processes import PROCESS

FAULT = "FAULT"


class History:
    """Lines are put into words only when somebody reads them: nearly all histories are forgotten at once."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lines: list[tuple[float, str, str, tuple[Any, ...]]] = []
        self.unforeseen: list[str] = []
        """Failures that the runtime itself calls unforeseen, by its log."""

    def note(self, who: str, what: str, *args: Any) -> None:
        """``what`` as for `str.format`; an argument that can be called is, once somebody reads it."""
        self._lines.append((self._now_s(), who, what, args))

    def __str__(self) -> str:
        return "\n".join(
            f"{now_s:9.3f}  {who:<12} {what.format(*(one() if callable(one) else one for one in args))}"
            for now_s, who, what, args in self._lines
        )

    @contextmanager
    def with_logs(self) -> Iterator[None]:
        """What the runtime logs meanwhile as a warning or worse is part of it."""
        before = structlog.get_config()
        structlog.configure(
            processors=[self._take],
            wrapper_class=structlog.make_filtering_bound_logger(30),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)

    def _take(self, _logger: Any, level: str, entry: MutableMapping[str, Any]) -> str:
        process = PROCESS.get(None)
        who = process.name if process else "?"
        event = entry.pop("event")
        failed = sys.exc_info()[1] if entry.pop("exc_info", None) else None
        if failed is not None and not isinstance(failed, asyncio.CancelledError):
            entry["error"] = repr(failed)
            self.unforeseen.append(f"{who}: {event}: {failed!r}")
        said = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in ("shard", "gateway"))
        self.note(who, "{}: {}", f"logs {level}: {event}", said)
        raise structlog.DropEvent
