"""Questions, and words that nobody answers."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.errors import Unavailable

from tests.contract.transport.conftest import Transport

DEADLINE_S = 60.0


async def echo(data: bytes) -> bytes:
    return b"heard " + data


async def silent(data: bytes) -> None:
    return None


async def test_the_owner_of_a_partition_answers(transport: Transport) -> None:
    await transport.other.serve(3, echo)
    assert await transport.one.ask(3, b"x", timeout_s=DEADLINE_S) == b"heard x"


async def test_a_question_waits_for_an_owner(transport: Transport) -> None:
    asking = asyncio.create_task(transport.one.ask(3, b"x", timeout_s=DEADLINE_S))
    await transport.other.serve(2, silent)
    await transport.other.serve(3, echo)
    assert await asking == b"heard x"


async def test_without_an_owner_or_an_answer_the_deadline_ends_it(transport: Transport) -> None:
    with pytest.raises(Unavailable):
        await transport.one.ask(3, b"x", timeout_s=0.3)
    await transport.other.serve(3, silent)
    with pytest.raises(Unavailable):
        await transport.one.ask(3, b"x", timeout_s=0.3)


async def test_who_stays_silent_leaves_the_answer_to_another(transport: Transport) -> None:
    await transport.one.serve(3, silent)
    await transport.other.serve(3, echo)
    assert await transport.one.ask(3, b"x", timeout_s=DEADLINE_S) == b"heard x"


async def test_who_serves_no_longer_hears_nothing_more(transport: Transport) -> None:
    await transport.one.serve(3, silent)
    await transport.one.unserve(3)
    await transport.one.unserve(3)
    with pytest.raises(Unavailable):
        await transport.other.ask(3, b"x", timeout_s=0.3)


async def test_a_question_to_any_is_answered_by_one(transport: Transport) -> None:
    heard: list[bytes] = []

    async def note(data: bytes) -> bytes:
        heard.append(data)
        return data

    await transport.one.serve(None, note)
    await transport.other.serve(None, note)
    assert await transport.other.ask(None, b"x", timeout_s=DEADLINE_S) == b"x"
    assert heard == [b"x"]


async def test_what_is_announced_is_heard_by_all_in_its_order(transport: Transport) -> None:
    heard: tuple[list[str], list[str]] = ([], [])
    await transport.one.on_announcement(heard[0].append)
    await transport.other.on_announcement(heard[1].append)
    for device in "abc":
        await transport.other.announce(device)
    await until(lambda: heard == (["a", "b", "c"], ["a", "b", "c"]), within_s=DEADLINE_S)


async def test_what_a_gateway_is_told_it_hears_alone_and_in_its_order(transport: Transport) -> None:
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    await transport.one.on_told("pod-1", heard[0].append)
    await transport.one.on_told("pod-2", heard[1].append)
    await transport.other.tell("nobody", b"-")
    for number in range(20):
        await transport.other.tell("pod-1", b"%d" % number)
    await transport.other.tell("pod-2", b"x")
    expected = ([b"%d" % number for number in range(20)], [b"x"])
    await until(lambda: heard == expected, within_s=DEADLINE_S)


async def test_who_lives_and_who_listens_is_heard_by_all(transport: Transport) -> None:
    alive: list[str] = []
    listening: list[None] = []
    for one in (transport.one, transport.other):
        await one.on_alive(alive.append)
        await one.on_listening(lambda: listening.append(None))
    await transport.one.alive("pod-1")
    await transport.other.listening()
    await until(lambda: (alive, len(listening)) == (["pod-1"] * 2, 2), within_s=DEADLINE_S)
