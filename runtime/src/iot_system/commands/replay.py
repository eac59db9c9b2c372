"""``iot-system replay``: sends the readings of a CSV file, by REST and, where it is given, by MQTT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from iot_system.client import DeviceConnection, IotClient, Message, NewDevice
from iot_system.commands.arguments import Address, address, count, url
from iot_system.commands.behaviours import set_up
from iot_system.commands.occupancy import DEVICES, ROOM, Row, Sample, read_sample, shipped_sample
from iot_system.commands.output import Progress, complain, say
from iot_system.commands.parser import new_parser
from iot_system.domain.readings import Telemetry, milliseconds
from iot_system.errors import InvalidInput, IotError

BULK_ROWS = 500
"""Rows in one bulk request."""
IN_FLIGHT = 200
"""Messages of a device that wait for their PUBACK."""
PATIENCE_S = 120.0
LINES_SHOWN = 10


class Target(msgspec.Struct, frozen=True):
    """An installation: its REST address, the administrator's token, and MQTT if it is to be used."""

    url: str
    token: str
    mqtt: Address | None = None


class Refused(msgspec.Struct, frozen=True):
    """A message that the system did not take; ``line`` as in the file."""

    line: int
    device: str
    why: str


class Outcome(msgspec.Struct):
    """What became of the messages; all else that was sent is acknowledged, so it is durable."""

    seconds: float = 0.0
    acknowledged: dict[str, int] = {}
    """Device → messages."""
    refused: list[Refused] = []

    @property
    def messages(self) -> int:
        """Acknowledged messages of all devices."""
        return sum(self.acknowledged.values())

    @property
    def readings(self) -> int:
        """Acknowledged readings of all devices."""
        return sum(len(DEVICES[device]) * messages for device, messages in self.acknowledged.items())


class _Replay:
    """One run. Each device's messages leave in the order of the file."""

    def __init__(self, iot: IotClient, rows: Sequence[Row], rate: int | None, advance: Callable[[int], None]) -> None:
        self._iot = iot
        self._rows = rows
        self._rate = rate
        self._advance = advance
        self._began_s = time.monotonic()
        self.outcome = Outcome(acknowledged=dict.fromkeys(DEVICES, 0), refused=[])

    async def by_rest(self, devices: Sequence[str]) -> None:
        """One request after the other, so that order needs no care."""
        size = min(BULK_ROWS, self._rate or BULK_ROWS)
        for start in range(0, len(self._rows), size):
            await self._pace(start)
            pairs = [(row.line, row.messages[id_]) for row in self._rows[start : start + size] for id_ in devices]
            sent = await self._iot.telemetry.send_many(_message(one) for _, one in pairs)
            refused = {one.index: str(one.error) for one in sent.refused}
            for index, (line, message) in enumerate(pairs):
                self._settle(line, message.device, refused.get(index))

    async def by_mqtt(self, mqtt: Address, device: str) -> None:
        """With a token of its own, as the device itself would."""
        room = asyncio.Semaphore(IN_FLIGHT)
        async with (
            self._token(device) as token,
            DeviceConnection(mqtt.host, mqtt.port, device, token, tls=mqtt.tls, patience_s=PATIENCE_S) as connection,
            asyncio.TaskGroup() as sending,
        ):
            for index, row in enumerate(self._rows):
                await self._pace(index)
                await room.acquire()
                sending.create_task(self._send(connection, row, room))

    async def _send(self, connection: DeviceConnection, row: Row, room: asyncio.Semaphore) -> None:
        message, why = row.messages[connection.device], None
        try:
            await connection.send(message.values, ts=milliseconds(message.time_us))
        except InvalidInput as error:
            why = str(error)
        self._settle(row.line, message.device, why)
        room.release()

    def _settle(self, line: int, device: str, refused: str | None) -> None:
        if refused is None:
            self.outcome.acknowledged[device] += 1
        else:
            self.outcome.refused.append(Refused(line, device, refused))
        self._advance(1)

    async def _pace(self, index: int) -> None:
        """Wait until the row with this index is due."""
        if self._rate is not None:
            await asyncio.sleep(self._began_s + index / self._rate - time.monotonic())

    @contextlib.asynccontextmanager
    async def _token(self, device: str) -> AsyncIterator[str]:
        """A credential for the time of the replay."""
        issued = await self._iot.devices.issue_token(device)
        try:
            yield issued.token
        finally:
            await self._iot.devices.revoke(device, issued.credential)


async def replay(target: Target, rows: Sequence[Row], *, rate: int | None = None) -> Outcome:
    """Register the devices and send ``rows``, at most ``rate`` a second; returns when all is acknowledged or refused.

    With MQTT, every other device uses it, the rest use REST. Raises an `IotError` where it cannot go on.
    """
    began_s = time.monotonic()
    ids = list(DEVICES)
    by_mqtt = ids[::2] if target.mqtt else []
    async with IotClient(target.url, target.token, patience_s=PATIENCE_S) as iot:
        await iot.devices.register(NewDevice(id=id_, room=ROOM) for id_ in ids)
        with Progress("messages acknowledged", len(rows) * len(ids)) as progress:
            run = _Replay(iot, rows, rate, progress.advance)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(run.by_rest([id_ for id_ in ids if id_ not in by_mqtt]))
                    for id_ in by_mqtt:
                        assert target.mqtt is not None
                        tasks.create_task(run.by_mqtt(target.mqtt, id_))
            except ExceptionGroup as problems:
                raise _first(problems) from None
    run.outcome.seconds = time.monotonic() - began_s
    return run.outcome


def report(sample: Sample, outcome: Outcome) -> None:
    """Print counts, and what went wrong."""
    for broken in sample.broken[:LINES_SHOWN]:
        say(f"  line {broken.line} was left out: {broken.why}")
    if len(sample.broken) > LINES_SHOWN:
        say(f"  {len(sample.broken) - LINES_SHOWN:,} more lines were left out")
    for refused in outcome.refused[:LINES_SHOWN]:
        say(f"  line {refused.line}, {refused.device}, was refused: {refused.why}")
    sent = outcome.messages + len(outcome.refused)
    say(
        f"  {len(sample.rows):,} rows: {sent:,} messages sent, {outcome.messages:,} acknowledged "
        f"({outcome.readings:,} readings), {len(outcome.refused):,} refused, in {outcome.seconds:.1f} s"
    )


def main(argv: list[str]) -> int:
    """Run the command; 1 where the file or the installation cannot be used or a message was refused."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.token:
        parser.error("no token: set IOT_ADMIN_TOKEN to the administrator's, or say --token")
    try:
        sample = read_sample(arguments.data)
        sample = msgspec.structs.replace(sample, rows=sample.rows[: arguments.limit])
        outcome = asyncio.run(_run(arguments, sample)) if sample.rows else Outcome()
    except IotError as error:
        complain("replay", error)
        return 1
    except KeyboardInterrupt:
        complain("replay", "stopped; what was acknowledged is stored, and sending it again changes nothing")
        return 130
    report(sample, outcome)
    return 1 if outcome.refused or not sample.rows else 0


async def _run(arguments: argparse.Namespace, sample: Sample) -> Outcome:
    target = Target(arguments.url, arguments.token, arguments.mqtt)
    if arguments.with_behaviours:
        async with IotClient(target.url, target.token, patience_s=PATIENCE_S) as iot:
            await set_up(iot)
    return await replay(target, sample.rows, rate=arguments.rate)


def _parser() -> argparse.ArgumentParser:
    parser = new_parser("replay", __doc__)
    parser.add_argument("--url", type=url, required=True, help="REST interface, e.g. http://127.0.0.1:8000")
    parser.add_argument(
        "--mqtt", type=address, metavar="[mqtts://]HOST:PORT", help="let every other device send by MQTT"
    )
    token = os.environ.get("IOT_ADMIN_TOKEN")
    parser.add_argument("--token", default=token, help="the administrator's token; by default from IOT_ADMIN_TOKEN")
    parser.add_argument(
        "--data", type=Path, default=shipped_sample(), metavar="FILE", help="CSV; by default the sample"
    )
    parser.add_argument(
        "--with-behaviours", action="store_true", help="let a thermostat and an alarm react to the readings"
    )
    parser.add_argument("--rate", type=count, metavar="N", help="send at most N rows a second")
    parser.add_argument("--limit", type=count, metavar="N", help="send the first N rows only")
    return parser


def _message(telemetry: Telemetry) -> Message:
    return Message(device=telemetry.device, ts=milliseconds(telemetry.time_us), values=telemetry.values)


def _first(problems: ExceptionGroup[Exception]) -> Exception:
    first = problems.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
