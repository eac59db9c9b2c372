"""CSV: a reading a line, with the columns device, ts, metric and value.

A value is JSON, and text where it is none: ``21.5``, ``true``, ``open``. Text that would be JSON has quotation
marks of its own, so that what is exported comes back as it was.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO

import msgspec

from iot_system.client import Message
from iot_system.commands.arguments import json_or_text
from iot_system.commands.files.rows import Broken, Item, Row, grouped
from iot_system.errors import InvalidInput

HEADER = ["device", "ts", "metric", "value"]
_SHOWN = 60


@contextmanager
def writing(file: BinaryIO) -> Iterator[Callable[[Sequence[Message]], None]]:
    """A function that writes messages."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(HEADER)

    def write(messages: Sequence[Message]) -> None:
        for message in messages:
            assert message.ts is not None
            for metric, value in message.values.items():
                lines.writerow((message.device, str(message.ts), metric, _text(value)))

    try:
        yield write
    finally:
        text.detach()


def read(file: BinaryIO) -> Iterator[Item | Broken]:
    """The readings of a file in its order, as messages. Raises `InvalidInput` where its first line is another."""
    yield from grouped(_rows(file))


def count(file: BinaryIO) -> int:
    """Its readings; a line end within a value counts too, for it is only for a progress bar."""
    return max(0, sum(1 for line in file if line.strip()) - 1)


def _rows(file: BinaryIO) -> Iterator[Row | Broken]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    lines = csv.reader(text)
    if (header := next(lines, [])) != HEADER:
        raise InvalidInput(f"the first line is {','.join(header)[:_SHOWN]!r}; it must be {','.join(HEADER)}")
    try:
        while True:
            place = lines.line_num + 1
            try:
                fields = next(lines)
            except StopIteration:
                return
            except csv.Error as error:  # the reader goes on with the line after it
                yield Broken(place, f"it is not CSV: {error}")
                continue
            if fields:
                yield _row(place, fields)
    finally:
        text.detach()


def _row(place: int, fields: list[str]) -> Row | Broken:
    if len(fields) != len(HEADER):
        return Broken(place, f"it has {len(fields)} fields; it must have {len(HEADER)}")
    device, ts, metric, value = fields
    moment = _milliseconds(ts)
    if moment is None:
        return Broken(place, f"ts is {ts[:_SHOWN]!r}; it must be milliseconds since 1970, or a time with its zone")
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return Broken(place, "it is not valid UTF-8")
    return Row(place, device, moment, metric, json_or_text(value))


def _milliseconds(text: str) -> float | None:
    try:
        return int(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp() * 1000


def _text(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and json_or_text(value) == value:
        return value
    return msgspec.json.encode(value).decode()
