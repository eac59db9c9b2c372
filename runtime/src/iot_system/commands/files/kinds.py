"""Which kind a file is of, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from iot_system.client import Message
from iot_system.commands.files import csv_file, ndjson_file
from iot_system.commands.files.rows import Broken, Item
from iot_system.errors import InvalidInput

KINDS = ("csv", "ndjson", "parquet")


class Kind(Protocol):
    """A module that writes and reads one kind of file."""

    def writing(self, file: BinaryIO) -> AbstractContextManager[Callable[[Sequence[Message]], None]]:
        """A function that writes messages; the file stays open."""
        ...

    def read(self, file: BinaryIO) -> Iterator[Item | Broken]:
        """What the file holds, in its order. Raises `InvalidInput` where it is of another kind."""
        ...

    def count(self, file: BinaryIO) -> int:
        """How many rows `read` gives in all, for a progress bar."""
        ...


def kind_of(path: Path, wanted: str | None) -> Kind:
    """The kind ``wanted``, else the one that the file's name ends with. Raises `InvalidInput`."""
    match wanted or path.suffix.lower().removeprefix("."):
        case "csv":
            return cast("Kind", csv_file)
        case "ndjson" | "jsonl":
            return cast("Kind", ndjson_file)
        case "parquet":
            try:
                from iot_system.commands.files import parquet_file
            except ModuleNotFoundError:
                brings = "`pip install './runtime[client,parquet]'` in a checkout brings it"
                raise InvalidInput(f"Parquet needs pyarrow; {brings}") from None
            return cast("Kind", parquet_file)
    raise InvalidInput(f"{path} does not end with .{', .'.join(KINDS)}: say --format")
