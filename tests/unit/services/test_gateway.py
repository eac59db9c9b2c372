"""The gateway: who may say what, and that what is acknowledged is durable and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from chart_harness.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.domain.access import Scope
from iot_system.domain.deliveries import Delivery, Desired, encode_deliveries
from iot_system.domain.frames import ActorFrame, DeviceFrame, Frame, decode_frame
from iot_system.domain.ids import partition_of
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Reported, Signal
from iot_system.errors import Forbidden, NotFound, Overloaded, Unauthenticated, Unavailable
from iot_system.ports.gateway import Principal
from iot_system.services.gateway import ALIVE_S, ActorGateway
from iot_system.services.writer import QUEUE_MESSAGES_LIMIT

from tests.unit.services.answering import PARTITIONS, Gate, Registry, ids_in_one_partition, token_of
from tests.unit.services.memory_log import MemoryLog
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.memory_stream import MemoryStream
from tests.unit.services.simulated_loop import SimulatedClock, simulate

ADMIN = Principal("admin", "admin")
DEADLINE_S = 60.0


class Served:
    """A gateway between a stream and a registry in memory."""

    def __init__(self) -> None:
        self.board = board = Switchboard()
        self.registry = Registry(board)
        self.stream = MemoryStream()
        self.gateway = ActorGateway(
            self.stream,
            MemoryRequests(board),
            SimulatedClock(),
            events=MemoryLog(),
            readings=MemoryLog(),
            partitions=PARTITIONS,
            admin_token="the-admin-token",
        )

    async def start(self) -> Served:
        await self.registry.start()
        await self.gateway.start()
        return self

    def stored(self, device: str) -> list[int]:
        """Times of the messages of a device, as they stand in the stream."""
        frames = [
            decode_frame(one.data) for one in self.stream.log if one.partition == partition_of(device, PARTITIONS)
        ]
        messages = [message for frame in frames if isinstance(frame, DeviceFrame) for message in frame.messages]
        return [message.time_us for message in messages if message.device == device]


@pytest.fixture
async def served() -> Served:
    return await Served().start()


def said(device: str, *times: int) -> list[Telemetry]:
    return [Telemetry(device, time_us, {"t": 1.0}) for time_us in times]


def messages_of(frame: Frame) -> Sequence[Telemetry | Signal]:
    assert not isinstance(frame, ActorFrame)
    return frame.messages if isinstance(frame, DeviceFrame) else frame.signals


def kinds(results: list[Exception | None]) -> list[type | None]:
    return [None if one is None else type(one) for one in results]


async def test_none_means_that_the_message_stands_in_the_stream_of_its_partition(served: Served) -> None:
    served.registry.register("a", "b", "c")
    messages = said("a", 1) + said("b", 2) + said("c", 3)
    assert await served.gateway.ingest(ADMIN, messages) == [None] * 3
    assert [served.stored(device) for device in "abc"] == [[1], [2], [3]]


async def test_each_message_is_refused_for_its_own_reason_and_the_others_are_kept(served: Served) -> None:
    served.registry.register("one", "two")
    served.registry.register("off", enabled=False)
    messages = said("one", 1) + said("nobody", 2) + said("off", 3) + said("two", 4) + said("one", 5)
    results = await served.gateway.ingest(ADMIN, messages)
    assert kinds(results) == [None, NotFound, Forbidden, None, None]
    assert str(results[1]) == "device 'nobody' is not registered"
    assert str(results[2]) == "device 'off' is disabled"
    assert (served.stored("one"), served.stored("two")) == ([1, 5], [4])


@pytest.mark.parametrize("known", [True, False])
async def test_a_device_speaks_for_itself_only(served: Served, known: bool) -> None:
    served.registry.register("one", "two")
    if known:
        await served.gateway.ingest(ADMIN, said("one", 0) + said("two", 0))
    results = await served.gateway.ingest(Principal("device", "one"), said("two", 1) + said("one", 2))
    assert kinds(results) == [Forbidden, None]
    assert 1 not in served.stored("two")


async def test_a_device_speaks_for_those_that_name_it_as_their_gateway(served: Served) -> None:
    served.registry.register("hub", "other")
    served.registry.register("behind", gateway="hub")
    results = await served.gateway.ingest(Principal("device", "hub"), said("behind", 1) + said("other", 1))
    assert kinds(results) == [None, Forbidden]
    assert kinds(await served.gateway.ingest(Principal("device", "other"), said("behind", 2))) == [Forbidden]
    assert served.stored("behind") == [1]


async def test_people_speak_for_devices_as_their_role_and_their_scopes_allow(served: Served) -> None:
    served.registry.register("one")
    assert kinds(await served.gateway.ingest(Principal("viewer", "v"), said("one", 1))) == [Forbidden]
    elsewhere = Principal("operator", "o", (Scope("room", "elsewhere"),))
    assert kinds(await served.gateway.ingest(elsewhere, said("one", 1))) == [NotFound]
    assert kinds(await served.gateway.ingest(Principal("operator", "o"), said("one", 1))) == [None]


async def test_signals_and_telemetry_of_a_device_stand_in_the_stream_in_their_order(served: Served) -> None:
    served.registry.register("one")
    mixed: list[Telemetry | Signal] = [
        *said("one", 1),
        Reported("one", {"a": 1}, 2),
        *said("one", 3, 4),
        Reported("one", {"b": 1}, 5),
    ]
    assert await served.gateway.ingest(Principal("device", "one"), mixed) == [None] * 5
    frames = [decode_frame(one.data) for one in served.stream.log]
    assert [[one.time_us for one in messages_of(frame)] for frame in frames] == [[1], [2], [3, 4], [5]]


async def test_deliveries_reach_this_process_and_nonsense_disturbs_nobody(served: Served) -> None:
    got: list[Delivery] = []
    served.gateway.on_delivery(got.append)
    delivery = Delivery("one", "c1", Desired(3, {"mode": "on"}, is_whole=True), [])
    teller = MemoryRequests(served.board)
    await teller.tell(served.gateway.name, b"nonsense")
    await teller.tell("another", encode_deliveries([delivery]))
    await teller.tell(served.gateway.name, encode_deliveries([delivery]))
    assert got == [delivery]


async def test_a_process_says_again_and_again_that_it_lives_under_a_name_of_its_own(served: Served) -> None:
    heard: list[str] = []
    await MemoryRequests(served.board).on_alive(heard.append)
    await asyncio.sleep(10)
    assert heard
    assert set(heard) == {served.gateway.name}
    assert len(heard) >= 10 / ALIVE_S - 1
    assert (await Served().start()).gateway.name != served.gateway.name


async def test_messages_keep_their_order_while_their_device_is_looked_up(served: Served) -> None:
    served.registry.register("one")
    served.registry.before = gate = Gate()
    calls = [asyncio.create_task(served.gateway.ingest(ADMIN, said("one", 2 * n, 2 * n + 1))) for n in range(5)]
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    gate.opened.set()
    # This one comes when the answer is there, but before it was acted upon.
    calls.append(asyncio.create_task(served.gateway.ingest(ADMIN, said("one", 10))))
    assert await asyncio.gather(*calls) == [[None, None]] * 5 + [[None]]
    assert served.stored("one") == list(range(11))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_device_keeps_its_order_whatever_changes_and_however_long_answers_take(seed: int) -> None:
    chance = random.Random(seed)

    async def wait(*_: object) -> None:
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.05]))

    async def run() -> None:
        served = await Served().start()
        devices = [*ids_in_one_partition(2), "x"]
        served.registry.register(*devices)
        served.registry.before = served.registry.after = served.stream.before = wait
        calls = []
        for time_us in range(60):
            for device in devices:
                calls.append(asyncio.ensure_future(served.gateway.ingest(ADMIN, said(device, time_us))))
                await asyncio.sleep(chance.choice([0, 0, 0.001, 0.02]))
                if chance.random() < 0.2:
                    await served.registry.change(device, enabled=True)
        assert await asyncio.gather(*calls) == [[None]] * len(calls)
        for device in devices:
            assert served.stored(device) == list(range(60))

    simulate(run())


async def test_an_unknown_device_does_not_hold_up_a_known_one(served: Served) -> None:
    served.registry.register("known", "slow")
    await served.gateway.ingest(ADMIN, said("known", 0))
    served.registry.before = gate = Gate()
    slow = asyncio.create_task(served.gateway.ingest(ADMIN, said("known", 1) + said("slow", 1)))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    await until(lambda: served.stored("known") == [0, 1], within_s=DEADLINE_S)
    assert not slow.done()
    gate.opened.set()
    assert await slow == [None, None]


async def test_where_nothing_could_be_stored_the_whole_call_says_to_try_again(served: Served) -> None:
    served.registry.register("one")

    async def full(partition: int, data: bytes) -> None:
        raise Overloaded("the stream is full", after_s=5.0)

    served.stream.before = full
    with pytest.raises(Overloaded, match="the stream is full") as refusal:
        await served.gateway.ingest(ADMIN, said("one", 1, 2))
    assert refusal.value.after_s == 5.0
    assert kinds(await served.gateway.ingest(ADMIN, said("one", 1) + said("nobody", 1))) == [Overloaded, NotFound]


async def test_a_full_queue_refuses_and_what_waits_in_it_gets_through(served: Served) -> None:
    first, second = ids_in_one_partition(2)
    served.registry.register(first, second)
    await served.gateway.ingest(ADMIN, said(first, 0) + said(second, 0))
    gate = Gate()

    async def wait(partition: int, data: bytes) -> None:
        await gate([])

    served.stream.before = wait
    waiting = asyncio.create_task(served.gateway.ingest(ADMIN, said(first, *range(1, QUEUE_MESSAGES_LIMIT + 1))))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    with pytest.raises(Overloaded, match="send more slowly"):
        await served.gateway.ingest(ADMIN, said(second, 1))
    gate.opened.set()
    assert await waiting == [None] * QUEUE_MESSAGES_LIMIT
    assert await served.gateway.ingest(ADMIN, said(second, 2)) == [None]


async def test_when_nobody_knows_the_device_it_says_to_try_again(served: Served) -> None:
    served.registry.before = Gate()
    with pytest.raises(Unavailable):
        await served.gateway.ingest(ADMIN, said("one", 1))
    assert served.stream.log == []


async def test_a_call_that_is_given_up_stores_what_it_brought_and_disturbs_nobody(served: Served) -> None:
    served.registry.register("one")
    served.registry.before = gate = Gate()
    left = asyncio.create_task(served.gateway.ingest(ADMIN, said("one", 1)))
    stays = asyncio.create_task(served.gateway.ingest(ADMIN, said("one", 2)))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    left.cancel()
    gate.opened.set()
    assert await stays == [None]
    assert served.stored("one") == [1, 2]


async def test_stop_returns_when_what_was_accepted_is_durable(served: Served) -> None:
    served.registry.register("one")
    await served.gateway.ingest(ADMIN, said("one", 0))
    gate = Gate()

    async def wait(partition: int, data: bytes) -> None:
        await gate([])

    served.stream.before = wait
    accepted = asyncio.create_task(served.gateway.ingest(ADMIN, said("one", 1)))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    stopping = asyncio.create_task(served.gateway.stop())
    gate.opened.set()
    await stopping
    assert served.stored("one") == [0, 1]
    assert await accepted == [None]


async def test_tokens_are_who_they_were_issued_to(served: Served) -> None:
    served.registry.register("one", "two")
    authenticate = served.gateway.authenticate
    assert await authenticate("the-admin-token") == ADMIN
    assert await authenticate(token_of("one")) == Principal("device", "one", credential="c")
    assert await authenticate(token_of("one"), device="one") == Principal("device", "one", credential="c")
    with pytest.raises(Unauthenticated):
        await authenticate(token_of("one"), device="two")
    with pytest.raises(Unauthenticated):
        await authenticate("the-admin-token", device="one")
    with pytest.raises(Unauthenticated):
        await authenticate(token_of("one") + "x")


async def test_a_disabled_device_is_kept_out_as_soon_as_it_is_announced(served: Served) -> None:
    served.registry.register("one")
    await served.gateway.authenticate(token_of("one"))
    await served.registry.change("one", enabled=False)
    with pytest.raises(Forbidden, match="device 'one' is disabled"):
        await served.gateway.authenticate(token_of("one"))


@pytest.mark.parametrize(
    "token", ["", ".", "x", ".secret", "one.", "x" * 60_000 + ".secret", "me.secret", "../one.secret", "é.secret"]
)
async def test_what_cannot_be_a_token_is_refused_without_asking_anybody(served: Served, token: str) -> None:
    """Nor is it remembered: strangers must not fill the directory."""
    with pytest.raises(Unauthenticated):
        await served.gateway.authenticate(token)
    assert served.registry.asked == []


async def test_without_an_administrators_token_nobody_is_administrator() -> None:
    for admin_token in (None, ""):
        gateway = ActorGateway(
            MemoryStream(),
            MemoryRequests(Switchboard()),
            SimulatedClock(),
            events=MemoryLog(),
            readings=MemoryLog(),
            partitions=1,
            admin_token=admin_token,
        )
        with pytest.raises(Unauthenticated):
            await gateway.authenticate("")
