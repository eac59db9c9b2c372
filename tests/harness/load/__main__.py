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
from collections.abc import Sequence
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


class Load:
    """All devices of an order, until `stop`."""

    def __init__(self, order: Order, log: LogWriter) -> None:
        self._order = order
        self._log = log
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
        assert self._tls is not None
        self._tls.load_verify_locations(cadata=authorities)

    def stop(self) -> None:
        """Send nothing new."""
        self._is_over.set()

    async def run(self) -> None:
        """Return once stopped and all is acknowledged. Raises AssertionError where that takes too long."""
        connections = [
            asyncio.create_task(device.keep_connected(*self._order.mqtt, self._tls)) for device in self._by_mqtt
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_by_mqtt())
                for one in self._by_rest:
                    tasks.create_task(self._send_by_rest(one))
        finally:
            self._log.flush()
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            for one in self._by_rest:
                await one.close()

    async def _send_by_mqtt(self) -> None:
        while not await self._is_over_within(TICK_S):
            due = [(device, device.begin()) for device in self._by_mqtt]
            self._log.flush()
            for device, numbers in due:
                device.send(numbers)
        await self._wait_until_acknowledged([device.sending for device in self._by_mqtt])

    async def _send_by_rest(self, one: RestDevices) -> None:
        while not await self._is_over_within(EVERY_S):
            messages = one.begin()
            self._log.flush()
            await one.send(messages)

    async def _wait_until_acknowledged(self, sendings: Sequence[Sending]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not all_acknowledged(sendings):
            waiting = {one.device.id: one.sent - one.acknowledged for one in sendings}
            assert time.monotonic() < deadline_s, f"no PUBACK within {PATIENCE_S:g} s for messages of {waiting}"
            await asyncio.sleep(TICK_S)

    async def _is_over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._is_over.wait()
        except TimeoutError:
            return False


async def carry_out(order: Order) -> Cost:
    """Until standard input ends, or the time is over."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    began_s = time.monotonic()
    with LogWriter(Path(order.log)) as log:
        load = Load(order, log)

        async def hear() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(order.seconds):
                    async for line in reader:
                        load.trust(msgspec.json.decode(line, type=str))
            load.stop()

        hearing = asyncio.create_task(hear())
        try:
            await load.run()
        finally:
            hearing.cancel()
    used = resource.getrusage(resource.RUSAGE_SELF)
    readings = METRICS * sum(one.acknowledged for one in load.sendings)
    seconds = time.monotonic() - began_s
    return Cost(round(seconds, 3), round(used.ru_utime + used.ru_stime, 3), readings, load.reconnections)


def main() -> int:
    """1 with a sentence where the order is wrong or cannot be carried out."""
    try:
        order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
        cost = uvloop.run(carry_out(order))
    except (msgspec.DecodeError, OSError, AssertionError) as problem:
        sys.stderr.write(f"load: {problem}\n")
        return 1
    except ExceptionGroup as problems:
        sys.stderr.write(f"load: {', '.join(map(str, problems.exceptions))}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(cost).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
