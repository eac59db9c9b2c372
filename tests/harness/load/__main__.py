"""`python -m tests.harness.load`: carries out one order, and tells what that has cost.

Lines after the order are further certificates to trust. It ends once its standard input does and all that was sent is
acknowledged; with a sentence where that cannot be.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop

from tests.harness.load.log import LogWriter
from tests.harness.load.mqtt import MqttDevice
from tests.harness.load.order import Cost, Order
from tests.harness.load.rest import EVERY_S, RestDevices
from tests.harness.load.script import METRICS
from tests.harness.load.sending import Sending, all_acknowledged

TICK_S = 0.05
"""Between two looks at what is due by MQTT."""
PATIENCE_S = 120.0
"""For what is not acknowledged when it is stopped: nobody may be there to stop it a second time."""
LONGEST_LINE = 2**26
FORESEEN = (msgspec.DecodeError, OSError, AssertionError)
"""What a sentence tells; anything else comes with its traceback."""


class Load:
    """All devices of an order, until `stop`, and ``patience_s`` longer at most."""

    def __init__(self, order: Order, log: LogWriter, patience_s: float = PATIENCE_S) -> None:
        self._order = order
        self._log = log
        self._patience_s = patience_s
        self._is_over = asyncio.Event()
        self._tls = ssl.create_default_context(cadata=order.trusted) if order.trusted else None
        self.sendings = [
            Sending(place, device, order.script, order.messages_a_second, log)
            for place, device in enumerate(order.devices)
        ]
        self._by_mqtt = [MqttDevice(one) for one in self.sendings if one.device.token is not None]
        by_rest = [one for one in self.sendings if one.device.token is None]
        shares = [by_rest[first :: order.connections] for first in range(order.connections)]
        self._by_rest = [RestDevices(order.url, order.token, share, self._tls) for share in shares if share]

    @property
    def reconnections(self) -> int:
        """MQTT connections beyond the first ones, and requests that were made again."""
        again = sum(max(0, device.connections - 1) for device in self._by_mqtt)
        return again + sum(connection.repeated for connection in self._by_rest)

    def trust(self, authorities: str) -> None:
        """Connections from now on may come to servers of these too."""
        assert self._tls is not None, "nothing is encrypted, so there is nobody to trust"
        self._tls.load_verify_locations(cadata=authorities)

    def stop(self) -> None:
        """Send nothing new."""
        self._is_over.set()

    async def run(self) -> None:
        """Return once stopped and all is acknowledged. Raises ExceptionGroup, of AssertionError where that is late."""
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    tasks.create_task(device.keep_connected(*self._order.mqtt, self._tls)) for device in self._by_mqtt
                ]
                beside.append(tasks.create_task(self._lose_patience()))
                sending = [tasks.create_task(self._send_by_mqtt())]
                sending += [tasks.create_task(self._send_by_rest(one)) for one in self._by_rest]
                await asyncio.wait(sending)
                for task in beside:
                    task.cancel()
        finally:
            self._log.flush()
            for one in self._by_rest:
                await one.close()

    async def _send_by_mqtt(self) -> None:
        while not await self._is_over_within(TICK_S):
            due = [(device, device.begin()) for device in self._by_mqtt]
            self._log.flush()
            for device, numbers in due:
                device.send(numbers)
        while not all_acknowledged([device.sending for device in self._by_mqtt]):  # noqa: ASYNC110 # they tell nobody
            await asyncio.sleep(TICK_S)

    async def _send_by_rest(self, one: RestDevices) -> None:
        while not await self._is_over_within(EVERY_S):
            messages = one.begin()
            self._log.flush()
            await one.send(messages)

    async def _lose_patience(self) -> None:
        await self._is_over.wait()
        await asyncio.sleep(self._patience_s)
        waiting = {one.device.id: left for one in self.sendings if (left := one.sent - one.acknowledged)}
        raise AssertionError(f"no acknowledgement within {self._patience_s:g} s for messages of {waiting}")

    async def _is_over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._is_over.wait()
        except TimeoutError:
            return False


async def carry_out() -> Cost:
    """The order of standard input, until that ends or the time is over. Raises `FORESEEN`, alone or as a group."""
    # Of one reader from the first line on: what another has read ahead would be lost to it.
    reader = asyncio.StreamReader(LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    order = msgspec.json.decode(await reader.readline(), type=Order)
    began_s = time.monotonic()
    with LogWriter(Path(order.log)) as log:
        load = Load(order, log)

        async def hear() -> None:
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(order.seconds):
                        async for line in reader:
                            load.trust(msgspec.json.decode(line, type=str))
            finally:
                load.stop()

        hearing = asyncio.create_task(hear())
        try:
            await load.run()
            await hearing  # it has stopped the load, perhaps for a line that it could not take
        finally:
            hearing.cancel()
    used = resource.getrusage(resource.RUSAGE_SELF)
    readings = METRICS * sum(one.acknowledged for one in load.sendings)
    seconds = time.monotonic() - began_s
    return Cost(round(seconds, 3), round(used.ru_utime + used.ru_stime, 3), readings, load.reconnections)


def main() -> int:
    """1 with a sentence where the order is wrong or cannot be carried out."""
    try:
        cost = uvloop.run(carry_out())
        sys.stdout.write(msgspec.json.encode(cost).decode())
        return 0
    except* FORESEEN as problems:
        sys.stderr.write(f"load: {', '.join(map(str, _each(problems)))}\n")
    return 1


def _each(problems: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for one in problems.exceptions:
        yield from _each(one) if isinstance(one, BaseExceptionGroup) else (one,)


if __name__ == "__main__":
    sys.exit(main())
