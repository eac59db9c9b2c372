"""Answers of verbs: a table for people, or a JSON object a line for programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iot_system.client.records import DeviceToken, NewToken
from iot_system.commands.output import say

UNBOUNDED = 1_000_000
"""Columns where standard output is no terminal: nothing is wrapped, nothing is cut off."""
_TIMES = frozenset({"ts", "created", "updated", "expires", "last_seen", "left"})


class Output:
    """Where a verb's answer goes."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console = Console(highlight=False, width=UNBOUNDED)

    def record(self, record: msgspec.Struct, *, without: str = "") -> None:
        """One thing: its fields below each other, for people without one that they are told in another way."""
        if self.is_json:
            self.line(record)
            return
        table = Table(box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in msgspec.structs.asdict(record).items():
            if name != without:
                table.add_row(Text(name, "bold"), Text(shown(name, value)))
        self._console.print(table)

    def issued(self, record: DeviceToken | NewToken) -> None:
        """A new token; for people on a line of its own, which no table wraps, as they are to copy it."""
        self.record(record, without="token")
        self.done(f"The token, shown this once:\n{record.token}")

    async def records(self, records: AsyncIterator[Any], columns: Sequence[str]) -> None:
        """Many things, a line each, with these of their fields."""
        table = Table(box=box.SIMPLE_HEAD)
        for name in columns:
            table.add_column(name.replace("_", " "), overflow="fold")
        async for one in records:
            if self.is_json:
                self.line(one)
            else:
                table.add_row(*(Text(shown(name, getattr(one, name))) for name in columns))
        if not self.is_json:
            self._console.print(table)

    def rows(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Many things that are told to people only."""
        if self.is_json or not rows:
            return
        table = Table(box=box.SIMPLE_HEAD)
        for name in columns:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(Text(shown(name, row.get(name))) for name in columns))
        self._console.print(table)

    def line(self, value: object) -> None:
        """A value as one line of JSON."""
        say(msgspec.json.encode(value).decode())

    def done(self, sentence: str) -> None:
        """Tell people that it is done; programs have the exit code."""
        if not self.is_json:
            say(sentence)


def shown(name: str, value: Any) -> str:
    """A field's value for people; ``name`` tells which numbers are times (ms since 1970)."""
    if value is None:
        return "-"
    if name in _TIMES and isinstance(value, int | float):
        return time_text(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list) and name == "scopes":
        return ", ".join(value) or "-"
    if isinstance(value, dict) and name == "labels":
        return ", ".join(f"{key}={one}" for key, one in sorted(value.items())) or "-"
    return msgspec.json.encode(value).decode()


def time_text(ts: float) -> str:
    """Milliseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def number_text(value: float) -> str:
    """Nine digits: enough for a position, and none of those that an average has for nothing."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else f"{value:.9g}"


def counted(count: int, one: str) -> str:
    """``1 device``, ``2 devices``."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"
