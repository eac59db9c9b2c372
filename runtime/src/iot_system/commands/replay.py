"""``iot-system replay``: sends the readings of a CSV file, by REST and, where it is given, by MQTT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import httpx
import msgspec

from iot_system.commands.arguments import Address, address, count, url
from iot_system.commands.mqtt import MqttSender
from iot_system.commands.occupancy import DEVICES, ROOM, Row, Sample, read_sample, shipped_sample
from iot_system.commands.output import Progress, complain, say
from iot_system.commands.rest import Rest, checked
from iot_system.domain.readings import Telemetry, milliseconds
from iot_system.errors import IotError

BULK_ROWS = 500
"""Rows in one bulk request."""
RETRYABLE = ("/problems/overloaded", "/problems/unavailable")
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

    def __init__(self, rest: Rest, rows: Sequence[Row], rate: int | None, advance: Callable[[int], None]) -> None:
        self._rest = rest
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
            waiting = [(row.line, row.messages[id_]) for row in self._rows[start : start + size] for id_ in devices]
            while waiting:
                waiting = await self._bulk(waiting)

    async def by_mqtt(self, mqtt: Address, device: str) -> None:
        """With a token of its own, as the device itself would."""
        async with self._token(device) as token:
            sender = MqttSender(*mqtt, device=device, token=token, on_acknowledged=lambda: self._acknowledge(device))
            sender.start()
            try:
                for index, row in enumerate(self._rows):
                    await self._pace(index)
                    await sender.send(msgspec.json.encode(_body(row.messages[device])))
                await sender.drain()
            finally:
                await sender.stop()

    async def _bulk(self, messages: list[tuple[int, Telemetry]]) -> list[tuple[int, Telemetry]]:
        """Send messages and return those that must be sent again."""
        body = b"\n".join(msgspec.json.encode({"device": one.device, **_body(one)}) for _, one in messages)
        response = await self._rest.request("POST", "/v1/telemetry", body=body, media_type="application/x-ndjson")
        bad = _rejections(response)
        if not bad:
            checked(response)
        again = []
        for number, (line, message) in enumerate(messages, 1):
            if number not in bad:
                self._acknowledge(message.device)
            elif bad[number]["type"] in RETRYABLE:
                again.append((line, message))
            else:
                self.outcome.refused.append(Refused(line, message.device, bad[number]["detail"]))
                self._advance(1)
        return again

    def _acknowledge(self, device: str) -> None:
        self.outcome.acknowledged[device] += 1
        self._advance(1)

    async def _pace(self, index: int) -> None:
        """Wait until the row with this index is due."""
        if self._rate is not None:
            await asyncio.sleep(self._began_s + index / self._rate - time.monotonic())

    @contextlib.asynccontextmanager
    async def _token(self, device: str) -> AsyncIterator[str]:
        """A credential for the time of the replay."""
        credential, token = await self._rest.issue_token(device)
        try:
            yield token
        finally:
            await self._rest.delete(f"/v1/devices/{device}/credentials/{credential}")


async def replay(target: Target, rows: Sequence[Row], *, rate: int | None = None) -> Outcome:
    """Register the devices and send ``rows``, at most ``rate`` a second; returns when all is acknowledged or refused.

    With MQTT, every other device uses it, the rest use REST. Raises an `IotError` where it cannot go on.
    """
    began_s = time.monotonic()
    ids = list(DEVICES)
    by_mqtt = ids[::2] if target.mqtt else []
    async with Rest(target.url, target.token) as rest:
        await rest.register([{"id": id_, "room": ROOM} for id_ in ids])
        with Progress("messages acknowledged", len(rows) * len(ids)) as progress:
            run = _Replay(rest, rows, rate, progress.advance)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(run.by_rest([id_ for id_ in ids if id_ not in by_mqtt]))
                    for id_ in by_mqtt:
                        assert target.mqtt is not None
                        tasks.create_task(run.by_mqtt(target.mqtt, id_))
            except ExceptionGroup as problems:
                raise problems.exceptions[0] from None
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
    arguments = _parser().parse_args(argv)
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
    return await replay(target, sample.rows, rate=arguments.rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("iot-system replay", description=__doc__)
    parser.add_argument("--url", type=url, required=True, help="REST interface, e.g. http://127.0.0.1:8000")
    parser.add_argument("--mqtt", type=address, metavar="HOST:PORT", help="let every other device send by MQTT")
    token = os.environ.get("IOT_ADMIN_TOKEN")
    parser.add_argument(
        "--token", default=token, required=not token, help="the administrator's token; by default from IOT_ADMIN_TOKEN"
    )
    parser.add_argument(
        "--data", type=Path, default=shipped_sample(), metavar="FILE", help="CSV; by default the sample"
    )
    parser.add_argument("--rate", type=count, metavar="N", help="send at most N rows a second")
    parser.add_argument("--limit", type=count, metavar="N", help="send the first N rows only")
    return parser


def _rejections(response: httpx.Response) -> dict[int, dict[str, str]]:
    """Line of a bulk request → why it was refused; empty where the answer is about the request as a whole."""
    try:
        answer = msgspec.json.decode(response.content)
        return {one["line"]: one for one in answer.get("rejected" if response.is_success else "errors", ())}
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
        return {}


def _body(message: Telemetry) -> Mapping[str, object]:
    return {"ts": milliseconds(message.time_us), "values": message.values}
