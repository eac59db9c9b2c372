"""Sides that are one program before a table: what comes to a server's port becomes rows."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import psycopg
from iot_system.errors import Unavailable

from bench.programs import Program, program
from bench.senders.orders import Order
from bench.workload import Workload

NAIVE = "naive: mosquitto, subscriber, INSERT"
STRONG = "plain: mosquitto, gmqtt, batched COPY"
RAW = "raw loop: frames, COPY, no actors"


class PlainSide:
    """Implements `bench.sides.side.Side`."""

    def __init__(
        self,
        name: str,
        protocol: Literal["mqtt", "frames"],
        port: int,
        process: Program,
        database: psycopg.AsyncConnection,
    ) -> None:
        self.name = name
        self._protocol = protocol
        self._port = port
        self._process = process
        self._database = database
        self._before = 0

    def order(self, workload: Workload) -> Order:
        """See `bench.sides.side.Side.order`."""
        return Order(protocol=self._protocol, port=self._port, passwords=[], workload=workload)

    async def prepare(self) -> None:
        """See `bench.sides.side.Side.prepare`."""
        self._before = await self._process.ask(None, int)
        await self._database.execute("TRUNCATE readings")

    async def committed(self) -> int:
        """See `bench.sides.side.Side.committed`."""
        return await self._process.ask(None, int) - self._before

    async def verify(self, workload: Workload) -> None:
        """See `bench.sides.side.Side.verify`: the primary key keeps a row from being there twice."""
        answer = await (await self._database.execute("SELECT count(*) FROM readings")).fetchone()
        assert answer is not None
        if answer[0] != workload.readings:
            raise Unavailable(f"{self.name}: {answer[0]} rows are stored of {workload.readings} readings")


@contextlib.asynccontextmanager
async def plain_side(
    name: str, protocol: Literal["mqtt", "frames"], port: int, module: str, database_url: str
) -> AsyncIterator[PlainSide]:
    """Start the program ``module`` that stores what comes to ``port`` of a server."""
    async with (
        program(module, str(port), environment={"DATABASE_URL": database_url}) as process,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as database,
    ):
        yield PlainSide(name, protocol, port, process, database)
