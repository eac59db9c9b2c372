"""Programs of the benchmark: questions, answers, and ends."""

from __future__ import annotations

import pytest
from iot_system.errors import Unavailable

from bench.programs import program
from bench.senders.orders import Order
from bench.workload import Workload


async def test_a_program_that_ends_instead_of_answering_is_told_by_its_name() -> None:
    nowhere = Order(protocol="mqtt", port=1, passwords=[], workload=Workload(1, 0, devices=1))
    async with program("bench.senders") as sender:
        with pytest.raises(Unavailable, match=r"bench\.senders ended with 1"):
            await sender.ask(nowhere, type(None))


async def test_a_program_is_told_to_end_when_it_was_used() -> None:
    async with program("bench.senders") as sender:
        pass
    with pytest.raises((Unavailable, ConnectionError)):
        await sender.ask(None, type(None))
