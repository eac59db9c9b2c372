"""The directory: what a gateway remembers of devices is never older than their last announced change."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.errors import TooLarge, Unavailable
from iot_system.services.asking import ASK_TIMEOUT_S, LOST_AFTER_S, Asking
from iot_system.services.directory import KNOWN_FOR_S, RENEWED_FOR_S, UNKNOWN_FOR_S, Directory
from structlog.testing import capture_logs

from tests.unit.services.answering import PARTITIONS, Gate, Registry, ids_in_one_partition
from tests.unit.services.lifeline import Times
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.simulated_loop import SimulatedClock

DEADLINE_S = 60.0


async def directory_of(registry: Registry, board: Switchboard) -> Directory:
    await registry.start()
    requests = MemoryRequests(board)
    directory = Directory(Asking(requests, PARTITIONS), SimulatedClock())
    await requests.on_announcement(directory.forget)
    return directory


@pytest.fixture
def board() -> Switchboard:
    return Switchboard()


@pytest.fixture
def registry(board: Switchboard) -> Registry:
    return Registry(board)


@pytest.fixture
async def directory(registry: Registry, board: Switchboard) -> Directory:
    return await directory_of(registry, board)


async def test_a_device_is_asked_for_once_and_again_when_its_time_is_over(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    for _ in range(3):
        assert await directory.get("one") == registry.devices["one"]
    assert registry.asked == [["one"]]
    await asyncio.sleep(KNOWN_FOR_S + 1)
    await directory.get("one")
    assert registry.asked == [["one"], ["one"]]


async def test_devices_in_use_are_asked_for_together_before_their_time_is_over_and_nobody_waits(
    directory: Directory, registry: Registry
) -> None:
    ids = ids_in_one_partition(2)
    for id_ in ids:
        registry.register(id_)
        await directory.get(id_)
    await asyncio.sleep(KNOWN_FOR_S - RENEWED_FOR_S + 1)
    assert all(directory.cached(id_)[0] for id_ in ids)
    await asyncio.sleep(RENEWED_FOR_S - 2)
    assert registry.asked[2:] == [ids]
    await asyncio.sleep(RENEWED_FOR_S)
    assert all(directory.cached(id_)[0] for id_ in ids)


async def test_while_nobody_can_tell_devices_in_use_stay_known_for_a_while(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    known = await directory.get("one")
    await asyncio.sleep(KNOWN_FOR_S - RENEWED_FOR_S - 1)

    async def is_away(ids: list[str]) -> None:
        raise Unavailable("the database is away")

    registry.before = is_away
    for _ in range(int(RENEWED_FOR_S)):
        assert directory.cached("one") == (True, known)
        await asyncio.sleep(1)
    await asyncio.sleep(2)
    assert directory.cached("one") == (False, None)


async def test_a_change_that_is_announced_during_a_renewal_is_not_overwritten(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    await directory.get("one")
    await asyncio.sleep(KNOWN_FOR_S - 1)
    registry.after = gate = Gate()
    directory.cached("one")
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    await registry.change("one", enabled=False)
    gate.opened.set()
    await asyncio.sleep(1)
    assert directory.cached("one") == (False, None)


async def test_a_device_that_is_not_registered_is_soon_asked_for_again(
    directory: Directory, registry: Registry
) -> None:
    assert await directory.get("one") is None
    assert await directory.get("one") is None
    assert len(registry.asked) == 1
    registry.register("one")
    await asyncio.sleep(UNKNOWN_FOR_S + 0.1)
    assert await directory.get("one") == registry.devices["one"]


async def test_a_change_that_is_announced_is_seen_at_once(directory: Directory, registry: Registry) -> None:
    registry.register("one")
    await directory.get("one")
    await registry.change("one", enabled=False)
    access = await directory.get("one")
    assert access is not None
    assert not access.device.enabled


async def test_an_answer_that_a_change_has_overtaken_is_not_remembered(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    registry.after = gate = Gate()
    asking = asyncio.create_task(directory.get("one"))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    await registry.change("one", enabled=False)
    gate.opened.set()
    await asking
    access = await directory.get("one")
    assert access is not None
    assert not access.device.enabled
    await directory.get("one")
    assert len(registry.asked) == 2, "the answer after the change is remembered again"


async def test_who_asks_while_a_look_up_is_under_way_joins_it(directory: Directory, registry: Registry) -> None:
    registry.register("one")
    registry.before = gate = Gate()
    asking = [asyncio.create_task(directory.get("one")) for _ in range(5)]
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    gate.opened.set()
    assert await asyncio.gather(*asking) == [registry.devices["one"]] * 5
    assert registry.asked == [["one"]]


async def test_the_devices_of_one_partition_are_asked_for_in_one_question(
    directory: Directory, registry: Registry
) -> None:
    ids = ids_in_one_partition(5)
    await asyncio.wait(directory.look_up(ids).values())
    assert registry.asked == [ids]


async def test_one_who_gives_up_does_not_end_the_look_up_of_the_others(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    registry.before = gate = Gate()
    leaving, staying = (asyncio.create_task(directory.get("one")) for _ in range(2))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.opened.set()
    assert await staying == registry.devices["one"]


async def test_where_nobody_answers_everyone_is_told_and_the_next_question_is_a_new_one(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    registry.before = gate = Gate()
    asking = [asyncio.create_task(directory.get("one")) for _ in range(2)]
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Unavailable, Unavailable]
    assert asyncio.get_running_loop().time() == pytest.approx(ASK_TIMEOUT_S, abs=0.1)
    gate.opened.set()
    assert await directory.get("one") == registry.devices["one"]


async def test_a_question_that_got_lost_is_asked_again_before_anybody_gives_up(
    directory: Directory, registry: Registry
) -> None:
    registry.register("one")
    lost = Gate()

    async def lose_the_first(ids: list[str]) -> None:
        if len(registry.asked) == 1:
            await lost(ids)

    registry.before = lose_the_first
    assert await directory.get("one") == registry.devices["one"]
    assert asyncio.get_running_loop().time() == pytest.approx(LOST_AFTER_S[0], abs=0.1)
    assert lost.waiting


async def test_an_answer_that_cannot_be_read_is_told_as_such(board: Switchboard) -> None:
    async def nonsense(data: bytes) -> bytes:
        return b"\x91\xa7another"

    server, client = MemoryRequests(board), MemoryRequests(board)
    for number in range(PARTITIONS):
        await server.serve(number, nonsense)
    directory = Directory(Asking(client, PARTITIONS), SimulatedClock())
    with pytest.raises(Unavailable, match="cannot be read"):
        await directory.get("one")


async def test_a_failure_that_nobody_foresaw_ends_the_look_up_and_the_next_is_a_new_one(
    registry: Registry, board: Switchboard
) -> None:
    await registry.start()
    registry.register("one")
    requests = MemoryRequests(board)
    requests.before_ask = Times(1, RuntimeError("a defect"))
    directory = Directory(Asking(requests, PARTITIONS), SimulatedClock())
    with pytest.raises(Unavailable, match="its log says why"):
        await directory.get("one")
    assert await directory.get("one") == registry.devices["one"]


async def test_a_failure_that_nobody_foresaw_in_a_renewal_is_told_and_the_next_one_is_made(
    registry: Registry, board: Switchboard
) -> None:
    await registry.start()
    registry.register("one")
    requests = MemoryRequests(board)
    directory = Directory(Asking(requests, PARTITIONS), SimulatedClock())
    known = await directory.get("one")
    await asyncio.sleep(KNOWN_FOR_S - RENEWED_FOR_S + 1)
    requests.before_ask = Times(1, RuntimeError("a defect"))
    with capture_logs() as logs:
        assert directory.cached("one") == (True, known)
        await until(lambda: logs, within_s=DEADLINE_S)
    assert [(line["event"], line["log_level"]) for line in logs] == [("devices were not renewed", "error")]
    directory.cached("one")
    await asyncio.sleep(RENEWED_FOR_S)
    assert directory.cached("one") == (True, known)


async def test_devices_whose_answer_is_too_large_are_asked_for_in_parts(
    directory: Directory, registry: Registry
) -> None:
    ids = ids_in_one_partition(5)
    registry.register(*ids)

    async def at_most_two(asked: list[str]) -> None:
        if len(asked) > 2:
            raise TooLarge("ask for fewer at once")

    registry.before = at_most_two
    futures = directory.look_up(ids)
    await asyncio.wait(futures.values())
    assert [future.result() for future in futures.values()] == [registry.devices[id_] for id_ in ids]


async def test_a_device_that_is_too_large_alone_is_told_to_who_asks(directory: Directory, registry: Registry) -> None:
    async def never(asked: list[str]) -> None:
        raise TooLarge("ask for fewer at once")

    registry.before = never
    with pytest.raises(TooLarge):
        await directory.get("one")
