"""``iot-system import``: telemetry from CSV, NDJSON or Parquet; what is there already stays as it is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import msgspec

from iot_system.client import IotClient
from iot_system.commands.files.kinds import KINDS, Kind, kind_of
from iot_system.commands.files.rows import Broken, Item
from iot_system.commands.output import Progress, complain
from iot_system.commands.parser import new_parser
from iot_system.commands.session import REFUSED, add_access, run
from iot_system.commands.tables import Output, counted
from iot_system.errors import InvalidInput

BATCH_MESSAGES = 2_000
LINES_SHOWN = 10


class _Outcome(msgspec.Struct):
    readings: int = 0
    refused: list[Broken] = []


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("import", __doc__)
    parser.add_argument("file", type=Path, help="ends with .csv, .ndjson or .parquet")
    parser.add_argument("--format", choices=KINDS, help="by default as the file's name ends")
    add_access(parser, _import)
    return run("import", parser, argv)


async def _import(iot: IotClient, arguments: argparse.Namespace, output: Output) -> int:
    kind = kind_of(arguments.file, arguments.format)
    try:
        outcome = await _send(iot, arguments.file, kind, output)
    except OSError as error:
        raise InvalidInput(f"{arguments.file} cannot be read: {error.strerror}") from error
    output.done(
        f"{counted(outcome.readings, 'reading')} accepted, {counted(len(outcome.refused), 'row')} refused; "
        "what was there already stays as it is"
    )
    if output.is_json:
        output.line(outcome)
    for one in outcome.refused[:LINES_SHOWN]:
        complain("import", f"row {one.place} was refused: {one.why}")
    return REFUSED if outcome.refused else 0


async def _send(iot: IotClient, path: Path, kind: Kind, output: Output) -> _Outcome:
    """In the file's order, a request after the other."""
    outcome = _Outcome()
    with path.open("rb") as file:
        total = kind.count(file)
    with path.open("rb") as file, nullcontext() if output.is_json else Progress("rows", total) as progress:
        for batch in _batches(kind.read(file)):
            items = [one for one in batch if isinstance(one, Item)]
            outcome.refused += [one for one in batch if isinstance(one, Broken)]
            sent = await iot.telemetry.send_many(item.message for item in items)
            bad = {one.index: str(one.error) for one in sent.refused}
            outcome.refused += [Broken(items[index].place, why) for index, why in bad.items()]
            outcome.readings += sum(len(one.message.values) for index, one in enumerate(items) if index not in bad)
            if progress:
                progress.advance(sum(one.rows for one in items) + len(batch) - len(items))
    return outcome


def _batches(items: Iterator[Item | Broken]) -> Iterator[list[Item | Broken]]:
    batch: list[Item | Broken] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH_MESSAGES:
            yield batch
            batch = []
    if batch:
        yield batch
