"""NDJSON: a message a line, exactly as the interface takes them in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from iot_system.client import Message
from iot_system.commands.files.rows import Broken, Item


@contextmanager
def writing(file: BinaryIO) -> Iterator[Callable[[Sequence[Message]], None]]:
    """A function that writes messages."""

    def write(messages: Sequence[Message]) -> None:
        file.writelines(msgspec.json.encode(message) + b"\n" for message in messages)

    yield write


def read(file: BinaryIO) -> Iterator[Item | Broken]:
    """The messages of a file in its order."""
    decoder = msgspec.json.Decoder(Message)
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield Item(number, decoder.decode(line), 1)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield Broken(number, f"it is not a message: {error}")


def count(file: BinaryIO) -> int:
    """Its messages."""
    return sum(1 for line in file if line.strip())
