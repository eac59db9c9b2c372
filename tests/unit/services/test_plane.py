"""Signals, deliveries, timers, lost gateways, events and new readings, through shards, stream and store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chart_harness.waiting import until
from iot_system.domain import questions as q
from iot_system.domain.commands import RESEND_AFTER_S, Command
from iot_system.domain.deliveries import Delivery, Desired
from iot_system.domain.events import Event, decode_events, decode_new_readings
from iot_system.domain.registry import Device
from iot_system.domain.signals import CommandAnswer, CommandDelivered, Connected, Disconnected, Reported, Signal
from iot_system.domain.twin import DeviceState
from iot_system.errors import Unavailable
from iot_system.services.departures import LISTENED_S
from iot_system.services.dues import VANISHED_S
from iot_system.services.housekeeping import GATEWAYS_S

from tests.unit.services.lifeline import Halt, Times
from tests.unit.services.memory_requests import MemoryRequests
from tests.unit.services.simulated_loop import SimulatedClock, SimulatedLoop
from tests.unit.services.system import ADMIN, ALL, DEADLINE_S, Process, System, ids_of, running

DEVICE, OTHER = ids_of(1)[:2]
OBEDIENT = "tests.unit.actors.sample_behaviours:Obedient"
BEGIN_US = SimulatedClock.EPOCH_US


class Radio:
    """The system as one API process sees it: what was delivered to it, and what became public."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.deliveries: list[Delivery] = []
        system.gateway.on_delivery(self.deliveries.append)

    async def signal(self, *signals: Signal) -> None:
        """Returns when they are durable."""
        assert await self.system.gateway.ingest(ADMIN, signals) == [None] * len(signals)

    async def connect(self, connection: str = "one", *, gateway: str | None = None, time_us: int = 1) -> None:
        """The device connects and listens to everything."""
        name = gateway or self.system.gateway.name
        await self.signal(Connected(DEVICE, name, connection, time_us, wants_desired=True, wants_commands=True))
        await self.system.settled()

    async def give(self, id_: str, *, timeout_s: float = 60.0) -> Command:
        """Give the device a command."""
        now_us = BEGIN_US + int(asyncio.get_running_loop().time() * 1e6)
        command = Command(
            id=id_,
            device=DEVICE,
            name="open",
            created_us=now_us,
            updated_us=now_us,
            expires_us=now_us + int(timeout_s * 1e6),
        )
        return await self.system.asking.ask_owner(DEVICE, q.PutCommand(command), Command)

    async def status(self, id_: str) -> str:
        return (await self.system.asking.ask_owner(DEVICE, q.GetCommand(DEVICE, id_), Command)).status

    async def state(self) -> DeviceState:
        return (await self.system.gateway.device(DEVICE)).state

    @property
    def commands(self) -> list[str]:
        """Ids of the commands that were delivered, in their order."""
        return [command.id for delivery in self.deliveries for command in delivery.commands]

    @property
    def events(self) -> list[Event]:
        """All that became public, in its order."""
        return [event for data in self.system.stream.events.messages.values() for event in decode_events(data)]

    def told(self, kind: str, *path: str) -> list[Any]:
        """What events of a kind say."""
        found: list[Any] = [event.data for event in self.events if event.kind == kind]
        for key in path:
            found = [data.get(key) for data in found]
        return found


@pytest.fixture
async def radio() -> AsyncIterator[Radio]:
    async with running() as system:
        yield Radio(system)


@pytest.fixture
async def process(radio: Radio) -> Process:
    """Owns all; the device is registered."""
    process = await radio.system.process("a", ALL)
    await radio.system.register(DEVICE)
    return process


async def test_a_device_that_connects_gets_its_desired_state_and_all_open_commands_in_their_order(
    radio: Radio, process: Process
) -> None:
    await radio.system.asking.ask_owner(DEVICE, q.PatchDesired(DEVICE, {"on": True}), q.DesiredView)
    for id_ in "ba":
        await radio.give(id_)
    assert radio.deliveries == []
    await radio.connect()
    assert [delivery.desired for delivery in radio.deliveries] == [Desired(1, {"on": True}, is_whole=True), None]
    assert radio.commands == ["b", "a"]
    assert {delivery.connection for delivery in radio.deliveries} == {"one"}
    assert await radio.status("b") == "sent"


async def test_a_connected_device_gets_what_changes_at_once_and_answers(radio: Radio, process: Process) -> None:
    await radio.connect()
    await radio.give("c")
    assert radio.commands == ["c"]
    await radio.signal(CommandDelivered(DEVICE, "c", 2), CommandAnswer(DEVICE, "c", "succeeded", {"done": 1}, 3))
    await radio.system.settled()
    command = await radio.system.asking.ask_owner(DEVICE, q.GetCommand(DEVICE, "c"), Command)
    assert (command.status, command.result) == ("succeeded", {"done": 1})
    assert radio.told("command", "status") == ["sent", "delivered", "succeeded"]
    assert radio.told("connection", "connected") == [True]


async def test_signals_and_readings_are_applied_in_their_order(radio: Radio, process: Process) -> None:
    await radio.signal(*(Reported(DEVICE, {"n": n}, n) for n in range(1, 6)))
    await radio.system.settled()
    assert radio.told("twin", "reported", "n") == [1, 2, 3, 4, 5]
    assert ((await radio.state()).reported, (await radio.state()).reported_version) == ({"n": 5}, 5)


async def test_a_device_that_leaves_is_told_as_gone_and_its_commands_wait(radio: Radio, process: Process) -> None:
    await radio.connect()
    await radio.signal(Disconnected(DEVICE, "one", "it said goodbye", 5))
    await radio.system.settled()
    state = await radio.state()
    assert (state.connection, state.left_reason, state.left_us) == (None, "it said goodbye", 5)
    await radio.give("c")
    assert radio.deliveries[1:] == []
    assert await radio.status("c") == "queued"


async def test_a_command_that_nobody_answers_expires_by_itself(radio: Radio, process: Process) -> None:
    await radio.give("c", timeout_s=30)
    await asyncio.sleep(29)
    assert await radio.status("c") == "queued"
    await asyncio.sleep(2)
    assert await radio.status("c") == "expired"
    await until(lambda: radio.told("command", "status")[-1:] == ["expired"], within_s=DEADLINE_S)


async def test_a_command_whose_delivery_is_not_confirmed_is_sent_again_until_it_is(
    radio: Radio, process: Process
) -> None:
    await radio.connect()
    await radio.give("c", timeout_s=1000)
    await asyncio.sleep(2 * RESEND_AFTER_S + 1)
    assert radio.commands == ["c", "c", "c"]
    await radio.signal(CommandDelivered(DEVICE, "c", 9))
    await asyncio.sleep(3 * RESEND_AFTER_S)
    assert radio.commands == ["c", "c", "c"]


async def test_what_is_due_while_nobody_owns_it_is_done_by_the_next_owner(radio: Radio, process: Process) -> None:
    await radio.give("c", timeout_s=30)
    await process.shard.release(ALL)
    await asyncio.sleep(60)
    await radio.system.process("b", ALL)
    await until(lambda: radio.told("command", "status")[-1:] == ["expired"], within_s=DEADLINE_S)
    assert await radio.status("c") == "expired"


async def test_a_timer_goes_off_once_also_where_the_answer_to_its_commit_got_lost(
    radio: Radio, process: Process
) -> None:
    await radio.system.asking.ask_owner(DEVICE, q.PatchDevice(DEVICE, {"behaviour": OBEDIENT}), Device)
    patch = {"SetTimer": {"name": "n", "after_s": 5}, "Alert": {"name": "set", "severity": "info"}}
    await radio.signal(Reported(DEVICE, patch, 1))
    await radio.system.settled()
    process.line.after["commit"] = Times(2, Unavailable("the answer got lost"))
    assert (await radio.state()).timers.keys() == {"n"}
    await asyncio.sleep(10)
    assert (await radio.state()).timers == {}
    claim = (await radio.system.store.claim([1], "x", "first"))[1]
    assert claim.timers == {}


async def test_the_earliest_timer_of_many_wakes_the_shard(radio: Radio, process: Process) -> None:
    await radio.give("late", timeout_s=3000)
    await radio.give("early", timeout_s=3)
    await asyncio.sleep(4)
    assert (await radio.status("early"), await radio.status("late")) == ("expired", "queued")


async def test_devices_of_a_gateway_that_vanished_are_told_as_gone(radio: Radio, process: Process) -> None:
    await radio.system.register(OTHER)
    name = radio.system.gateway.name
    await radio.signal(Connected(OTHER, name, "two", 1, wants_desired=True, wants_commands=True))
    await radio.connect(gateway="ghost")
    await asyncio.sleep(VANISHED_S - 1)
    assert (await radio.state()).connection is not None
    await asyncio.sleep(1 + 2 * GATEWAYS_S)
    assert (await radio.state()).left_reason == "the gateway vanished"
    assert (await radio.system.gateway.device(OTHER)).state.connection is not None, "that of a gateway that lives"
    assert radio.told("connection", "reason") == [None, None, "the gateway vanished"]


async def test_a_new_owner_counts_from_when_it_began(radio: Radio, process: Process) -> None:
    await radio.connect(gateway="ghost")
    await asyncio.sleep(VANISHED_S - 1)
    await process.shard.release(ALL)
    await radio.system.process("b", ALL)
    await asyncio.sleep(VANISHED_S - 3)
    assert (await radio.state()).connection is not None
    await asyncio.sleep(3 + 2 * GATEWAYS_S)
    assert (await radio.state()).connection is None


async def test_a_shard_that_was_cut_off_ends_no_connection_of_those_it_could_not_hear(
    radio: Radio, process: Process
) -> None:
    requests = MemoryRequests(radio.system.board)
    await radio.connect(gateway="ghost")
    await requests.alive("ghost")
    process.line.before["fetch"] = Times(1_000, Unavailable("the broker is away"))
    await asyncio.sleep(3 * VANISHED_S)
    process.line.before.clear()
    await asyncio.sleep(VANISHED_S / 2)
    await requests.alive("ghost")
    await asyncio.sleep(5)
    assert (await radio.state()).connection is not None


async def test_a_shard_that_stood_still_ends_no_connection_of_those_it_could_not_hear(
    radio: Radio, process: Process
) -> None:
    await radio.connect(gateway="ghost")
    await asyncio.sleep(2 * GATEWAYS_S)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    loop.stand_still(2 * VANISHED_S)
    await asyncio.sleep(VANISHED_S / 2)
    assert (await radio.state()).connection is not None


async def test_a_gateway_that_was_only_cut_off_is_asked_who_is_still_connected_once_it_is_heard_of_again(
    radio: Radio, process: Process
) -> None:
    await radio.connect()
    radio.system.requests.is_mute = True
    await asyncio.sleep(2 * VANISHED_S)
    assert (await radio.state()).connection is None
    radio.deliveries.clear()
    radio.system.requests.is_mute = False
    await asyncio.sleep(2 * GATEWAYS_S)
    assert radio.deliveries == [Delivery(DEVICE, "one", None, [])]
    await asyncio.sleep(10 * GATEWAYS_S)
    assert len(radio.deliveries) == 1


async def test_new_readings_are_published_only_while_somebody_listens(radio: Radio, process: Process) -> None:
    system = radio.system
    await system.say(DEVICE, 1)
    await system.settled()
    assert system.stream.readings.messages == {}
    await MemoryRequests(system.board).listening()
    await system.say(DEVICE, 2, 2, 3)
    await system.settled()
    found = [one for data in system.stream.readings.messages.values() for one in decode_new_readings(data)]
    assert [(one.device, one.time_us, one.values) for one in found] == [(DEVICE, 2, {"t": 2}), (DEVICE, 3, {"t": 3})]
    await asyncio.sleep(LISTENED_S + 1)
    await system.say(DEVICE, 4)
    await system.settled()
    assert len(system.stream.readings.messages) == 1


async def test_events_that_were_committed_become_public_once_whoever_dies(radio: Radio, process: Process) -> None:
    process.line.before["publish_events"] = halt = Halt()
    await radio.signal(Reported(DEVICE, {"n": 1}, 1))
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    assert radio.events == []
    process.kill()
    await radio.system.process("b", ALL)
    await until(lambda: radio.told("twin", "reported", "n") == [1], within_s=DEADLINE_S)


async def test_a_broker_that_loses_answers_doubles_no_event(radio: Radio, process: Process) -> None:
    process.line.after["publish_events"] = Times(3, Unavailable("the answer got lost"))
    await radio.signal(Reported(DEVICE, {"n": 1}, 1))
    await radio.system.settled()
    await radio.signal(Reported(DEVICE, {"n": 2}, 2))
    await radio.system.settled()
    assert radio.told("twin", "reported", "n") == [1, 2]


async def test_deliveries_that_are_too_much_for_one_message_come_in_several_in_their_order(
    radio: Radio, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iot_system.services.departures.MESSAGE_BYTES", 3000)
    for number in range(60):
        await radio.give(f"c{number:02}", timeout_s=1000)
    messages: list[bytes] = []
    await MemoryRequests(radio.system.board).on_told(radio.system.gateway.name, messages.append)
    await radio.connect()
    assert radio.commands == [f"c{number:02}" for number in range(60)]
    assert len(messages) > 1


async def test_a_device_that_is_deleted_leaves_nothing_due_and_nobody_connected(radio: Radio, process: Process) -> None:
    await radio.connect()
    await radio.give("c")
    await radio.system.gateway.delete_device(DEVICE)
    await asyncio.sleep(2 * RESEND_AFTER_S)
    assert radio.commands == ["c"]
    claim = (await radio.system.store.claim([1], "x", "first"))[1]
    assert (claim.timers, claim.connections) == ({}, {})
    assert radio.told("command", "status") == ["sent", "cancelled"]


async def test_a_late_signal_does_not_bring_a_deleted_device_back(radio: Radio, process: Process) -> None:
    process.line.before["fetch"] = halt = Halt()
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    await radio.signal(Reported(DEVICE, {"n": 1}, 1))
    await radio.system.gateway.delete_device(DEVICE)
    halt.released.set()
    await radio.system.settled()
    assert radio.told("twin") == []
    assert await radio.system.store.load_devices([DEVICE]) == {}
