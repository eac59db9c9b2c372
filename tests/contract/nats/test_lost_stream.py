"""A stream that is lost under a running shard: what is acknowledged afterwards is applied nevertheless."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats.stream import STREAM

from tests.contract.nats.installed import Installation, installed

DEADLINE_S = 60.0


async def deleted_and_made_anew(one: Installation) -> None:
    await one.stream._jetstream.delete_stream(STREAM)
    await one.make_streams()


async def emptied_by_a_crash(one: Installation) -> None:
    """The broker believes it to be the same stream."""
    one.server.kill()
    (messages,) = one.folder.rglob(f"{STREAM}/msgs")
    shutil.rmtree(messages)
    await asyncio.to_thread(one.server.start)


@pytest.mark.parametrize("lost", [deleted_and_made_anew, emptied_by_a_crash])
async def test_what_is_acknowledged_after_the_stream_was_lost_is_applied(
    tmp_path: Path, lost: Callable[[Installation], Awaitable[None]]
) -> None:
    async with installed(tmp_path) as one:
        await one.say(*range(1, 21))  # so that new sequences are far below the old ones
        await until(lambda: one.has(*range(1, 21)), within_s=DEADLINE_S)
        await lost(one)
        await one.say(21, 22)
        await until(lambda: one.has(*range(1, 23)), within_s=DEADLINE_S, why="acknowledged readings are not applied")
        await one.say(23)
        await until(lambda: one.has(*range(1, 24)), within_s=DEADLINE_S)
