"""Parquet: a reading a row, with the columns device, time, metric, number and json.

``number`` is what a number is (a double), ``json`` is the exact value of what is none, or is a whole number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
import pyarrow
from pyarrow import parquet

from iot_system.client import Message
from iot_system.commands.files.rows import Broken, Item, Row, grouped
from iot_system.domain.readings import milliseconds
from iot_system.errors import InvalidInput

SCHEMA = pyarrow.schema(
    [
        pyarrow.field("device", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), nullable=False),
        pyarrow.field("time", pyarrow.timestamp("us", tz="UTC"), nullable=False),
        pyarrow.field("metric", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), nullable=False),
        pyarrow.field("number", pyarrow.float64()),
        pyarrow.field("json", pyarrow.string()),
    ]
)
GROUP_ROWS = 65_536
"""Rows in a row group, and in memory."""


@contextmanager
def writing(file: BinaryIO) -> Iterator[Callable[[Sequence[Message]], None]]:
    """A function that writes messages."""
    rows: list[dict[str, Any]] = []
    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:

        def flush() -> None:
            if rows:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA))
                rows.clear()

        def write(messages: Sequence[Message]) -> None:
            for message in messages:
                rows.extend(_rows_of(message))
                if len(rows) >= GROUP_ROWS:
                    flush()

        yield write
        flush()


def read(file: BinaryIO) -> Iterator[Item | Broken]:
    """The readings of a file in its order, as messages. Raises `InvalidInput` where it has other columns."""
    yield from grouped(_rows(_opened(file)))


def count(file: BinaryIO) -> int:
    """Its readings. Raises as `read`."""
    return int(_opened(file).metadata.num_rows)


def _opened(file: BinaryIO) -> parquet.ParquetFile:
    try:
        opened = parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise InvalidInput(f"it is not Parquet: {error}") from None
    if missing := [name for name in SCHEMA.names if name not in opened.schema_arrow.names]:
        raise InvalidInput(f"it has no column {missing[0]!r}; it must have {', '.join(SCHEMA.names)}")
    if not pyarrow.types.is_timestamp(kind := opened.schema_arrow.field("time").type):
        raise InvalidInput(f"its column 'time' is of the type {kind}; it must be a timestamp")
    return opened


def _rows(opened: parquet.ParquetFile) -> Iterator[Row | Broken]:
    place = 0
    for batch in opened.iter_batches(batch_size=GROUP_ROWS, columns=SCHEMA.names):
        times_us = (
            batch.column("time").cast(pyarrow.timestamp("us", tz="UTC"), safe=False).cast(pyarrow.int64()).to_pylist()
        )
        columns = (batch.column(name).to_pylist() for name in ("device", "metric", "number", "json"))
        for time_us, device, metric, number, json in zip(times_us, *columns, strict=True):
            place += 1
            if time_us is None:
                yield Broken(place, "time is null")
                continue
            try:
                value = number if json is None else msgspec.json.decode(json)
            except msgspec.DecodeError as error:
                yield Broken(place, f"json is no JSON: {error}")
            else:
                yield Row(place, device, milliseconds(time_us), metric, value)


def _rows_of(message: Message) -> Iterator[dict[str, Any]]:
    assert message.ts is not None
    time_us = round(message.ts * 1000)
    for metric, value in message.values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        yield {
            "device": message.device,
            "time": time_us,
            "metric": metric,
            "number": float(value) if is_number else None,  # type: ignore[arg-type]
            "json": None if isinstance(value, float) else msgspec.json.encode(value).decode(),
        }
