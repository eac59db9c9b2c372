"""The naive way: mosquitto, one subscriber, one transaction for each message."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
from iot_system.commands.processes import Children
from iot_system.errors import Unavailable

from bench.senders.orders import Order
from bench.servers import start_mosquitto, subscriber
from bench.workload import METRICS, Workload


class NaiveSide:
    """Implements `bench.sides.side.Side`."""

    name = "naive: mosquitto, subscriber, INSERT"

    def __init__(self, port: int, database: psycopg.AsyncConnection) -> None:
        self._port = port
        self._database = database

    def order(self, workload: Workload) -> Order:
        """See `bench.sides.side.Side.order`."""
        return Order(protocol="mqtt", port=self._port, passwords=[], workload=workload)

    async def prepare(self) -> None:
        """See `bench.sides.side.Side.prepare`."""
        await self._database.execute("TRUNCATE readings")

    async def committed(self) -> int:
        """See `bench.sides.side.Side.committed`."""
        return await self._rows() // METRICS

    async def verify(self, workload: Workload) -> None:
        """See `bench.sides.side.Side.verify`: the primary key keeps a row from being there twice."""
        if (rows := await self._rows()) != workload.readings:
            raise Unavailable(f"{self.name}: {rows} rows are stored of {workload.readings} readings")

    async def _rows(self) -> int:
        answer = await (await self._database.execute("SELECT count(*) FROM readings")).fetchone()
        assert answer is not None
        return int(answer[0])


@contextlib.asynccontextmanager
async def naive_side(children: Children, folder: Path, database_url: str) -> AsyncIterator[NaiveSide]:
    """Start it; it ends with ``children``."""
    port = await start_mosquitto(children, folder)
    async with (
        subscriber(port, database_url),
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as database,
    ):
        yield NaiveSide(port, database)
