"""A database that was restored is older or newer than the stream that it meets."""

from __future__ import annotations

from pathlib import Path

from chart_harness.waiting import until

from tests.contract.nats.installed import installed

DEADLINE_S = 60.0
NEVER_S = 600.0
"""Nothing is trimmed before a test is over."""


async def test_a_database_that_is_older_than_the_stream_catches_up_with_it(tmp_path: Path) -> None:
    async with installed(tmp_path, trims_after_s=NEVER_S) as one:
        await one.say(*range(1, 6))
        await until(lambda: one.has(*range(1, 6)), within_s=DEADLINE_S)
        await one.shard.stop()
        backup = one.copy_database()
        await one.start_shard()
        await one.say(*range(6, 11))
        await until(lambda: one.has(*range(1, 11)), within_s=DEADLINE_S)
        await one.shard.stop()

        one.restore_database(backup)
        assert await one.has(*range(1, 6))
        await one.start_shard()
        await until(
            lambda: one.has(*range(1, 11)), within_s=DEADLINE_S, why="what the stream holds is not applied again"
        )
        await one.say(11)
        await until(lambda: one.has(*range(1, 12)), within_s=DEADLINE_S)


async def test_a_database_that_meets_a_new_stream_takes_what_is_acknowledged_from_then_on(tmp_path: Path) -> None:
    async with installed(tmp_path) as one:
        await one.say(*range(1, 21))  # positions far above those that the new stream begins with
        await until(lambda: one.has(*range(1, 21)), within_s=DEADLINE_S)
        await one.shard.stop()
        backup = one.copy_database()
        await one.start_shard()
        await one.say(21)
        await until(lambda: one.has(*range(1, 22)), within_s=DEADLINE_S)
        await one.shard.stop()

        one.restore_database(backup)
        await one.empty_broker()
        await one.start_shard()
        await one.say(22, 23)
        times = [*range(1, 21), 22, 23]
        await until(
            lambda: one.has(*times), within_s=DEADLINE_S, why="new readings are taken for ones that were applied"
        )
