"""``iot-system export``: history of devices as CSV, NDJSON or Parquet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from iot_system.client import IotClient, Message
from iot_system.client.records import Reading
from iot_system.commands.arguments import moment
from iot_system.commands.files.kinds import KINDS, Kind, kind_of
from iot_system.commands.output import Progress
from iot_system.commands.parser import new_parser
from iot_system.commands.session import add_access, run
from iot_system.commands.tables import Output, counted
from iot_system.errors import InvalidInput

WRITE_MESSAGES = 1_000
"""Messages that are written at once."""


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("export", __doc__)
    parser.add_argument("file", type=Path, help="ends with .csv, .ndjson or .parquet; - is standard output")
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="by default all, or those of --room and --label")
    parser.add_argument("--room", metavar="ID")
    parser.add_argument("--label", metavar="NAME=VALUE")
    parser.add_argument("--metric", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    parser.add_argument("--from", type=moment, metavar="TIME", dest="start", help="RFC 3339, or ms since 1970")
    parser.add_argument("--to", type=moment, metavar="TIME", dest="end", help="before this time")
    parser.add_argument("--format", choices=KINDS, help="by default as the file's name ends")
    add_access(parser, _export)
    return run("export", parser, argv)


async def _export(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    kind = kind_of(arguments.file, arguments.format)
    devices = await _devices(iot, arguments)
    if str(arguments.file) == "-":
        await _write(iot, devices, arguments, kind, sys.stdout.buffer, lambda _: None)
        return
    selection = {"metrics": arguments.metric, "start": arguments.start, "end": arguments.end}
    total = sum([await iot.history.count(device, **selection) for device in devices])
    # Under its own name stands only what is complete.
    part = arguments.file.with_name(f"{arguments.file.name}.part")
    try:
        with part.open("wb") as file, nullcontext() if output.is_json else Progress("readings", total) as progress:
            advance = progress.advance if progress else lambda _: None
            count = await _write(iot, devices, arguments, kind, file, advance)
        part.replace(arguments.file)
    except OSError as error:
        raise InvalidInput(f"{arguments.file} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    output.done(f"{counted(count, 'reading')} of {counted(len(devices), 'device')} written to {arguments.file}")
    if output.is_json:
        output.line({"readings": count, "devices": len(devices)})


async def _write(
    iot: IotClient,
    devices: Sequence[str],
    arguments: argparse.Namespace,
    kind: Kind,
    file: BinaryIO,
    advance: Callable[[int], None],
) -> int:
    """Returns the number of readings."""
    count = 0
    with kind.writing(file) as write:
        for device in devices:
            readings = iot.history.readings(device, metrics=arguments.metric, start=arguments.start, end=arguments.end)
            batch: list[Message] = []
            async for message in _messages(device, readings):
                batch.append(message)
                count += len(message.values)
                advance(len(message.values))
                if len(batch) == WRITE_MESSAGES:
                    write(batch)
                    batch = []
            write(batch)
    return count


async def _devices(iot: IotClient, arguments: argparse.Namespace) -> list[str]:
    """Raises `InvalidInput` where there are none."""
    if arguments.devices:
        if arguments.room or arguments.label:
            raise InvalidInput("devices are named and selected by --room or --label; it is one or the other")
        return list(arguments.devices)
    found = [device.id async for device in iot.devices.list(room=arguments.room, label=arguments.label)]
    if not found:
        where = [f"in room {arguments.room}"] if arguments.room else []
        where += [f"with the label {arguments.label}"] if arguments.label else []
        raise InvalidInput(" ".join(["no device is registered", *where]))
    return found


async def _messages(device: str, readings: AsyncIterator[Reading]) -> AsyncIterator[Message]:
    """Readings of one moment are one message."""
    ts, values = 0.0, dict[str, Any]()
    async for reading in readings:
        if values and reading.ts != ts:
            yield Message(device=device, ts=ts, values=values)
            values = {}
        ts = reading.ts
        values[reading.metric] = reading.value
    if values:
        yield Message(device=device, ts=ts, values=values)
