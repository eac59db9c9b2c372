"""The commands of a device: once per id, in order, sent again, ended once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from iot_system.actors.changes import COMMANDS_PER_DELIVERY
from iot_system.domain.commands import OPEN_LIMIT, PAYLOAD_LIMIT, RESEND_AFTER_S, Command
from iot_system.domain.registry import Device
from iot_system.domain.signals import CommandAnswer, CommandDelivered
from iot_system.errors import Conflict, InvalidInput, NotFound, Overloaded

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import S, World


@pytest.fixture
def world() -> World:
    return World(Device(id="d", room="r"), now_us=1000 * S)


def status(world: World, id_: str) -> str:
    return world.commands["d", id_].status


def told(world: World, id_: str) -> list[str]:
    return [data["status"] for data in world.of_kind("command") if data["id"] == id_]


def answer(world: World, id_: str, payload: Any = None) -> None:
    world.signal(CommandAnswer("d", id_, "succeeded", payload, world.now_us))


def test_a_command_goes_the_whole_way_and_every_step_is_told(world: World) -> None:
    assert world.put("d", "one", payload={"level": 3}).status == "queued"
    world.connect("d")
    world.signal(CommandDelivered("d", "one", world.now_us))
    answer(world, "one", {"level": 3})
    command = world.commands["d", "one"]
    assert (command.status, command.result, command.sends) == ("succeeded", {"level": 3}, 1)
    assert told(world, "one") == ["queued", "sent", "delivered", "succeeded"]


def test_a_command_is_sent_at_once_while_the_device_listens(world: World) -> None:
    world.connect("d")
    assert world.put("d", "one").status == "sent"
    assert [command.id for command in world.deliveries[-1].commands] == ["one"]
    assert told(world, "one") == ["sent"]


def test_a_connection_that_does_not_listen_to_commands_gets_none(world: World) -> None:
    world.connect("d", commands=False)
    assert world.put("d", "one").status == "queued"


def test_the_same_command_again_is_the_same_command(world: World) -> None:
    first = world.put("d", "one", payload=[1])
    assert world.put("d", "one", payload=[1]) == first
    assert told(world, "one") == ["queued"]
    with pytest.raises(Conflict, match="command 'one' exists with another name or payload"):
        world.put("d", "one", payload=[2])
    with pytest.raises(Conflict):
        world.put("d", "one", "close", payload=[1])


def test_a_command_at_its_end_is_the_same_command_too(world: World) -> None:
    given = world.put("d", "one", payload=[1])
    answer(world, "one")
    ended = world.commands["d", "one"]
    assert world.change("d", "put_command", given, known=ended) == ended
    with pytest.raises(Conflict):
        world.change("d", "put_command", msgspec.structs.replace(given, name="x"), known=ended)
    assert told(world, "one") == ["queued", "succeeded"]


def test_open_commands_are_delivered_in_the_order_of_their_creation_whenever_the_device_comes(world: World) -> None:
    ids = [f"c{number}" for number in range(2 * COMMANDS_PER_DELIVERY + 1)]
    for id_ in ids:
        world.put("d", id_)
    world.restart()
    world.connect("d")
    parts = [[command.id for command in delivery.commands] for delivery in world.deliveries]
    assert [id_ for part in parts for id_ in part] == ids
    assert max(map(len, parts)) == COMMANDS_PER_DELIVERY
    assert [delivery.desired is not None for delivery in world.deliveries] == [True, False, False, False]
    created = [world.commands["d", id_].created_us for id_ in ids]
    assert created == sorted(set(created)), "the store can tell their order"


def test_a_device_that_comes_back_gets_what_was_delivered_and_not_answered(world: World) -> None:
    world.connect("d", "c1")
    world.put("d", "one")
    world.signal(CommandDelivered("d", "one", world.now_us))
    world.disconnect("d", "c1")
    world.connect("d", "c2")
    assert [command.id for command in world.deliveries[-1].commands] == ["one"]
    assert status(world, "one") == "delivered"
    assert world.commands["d", "one"].sends == 2


def test_a_command_whose_delivery_is_not_confirmed_is_sent_again_while_the_device_is_connected(world: World) -> None:
    world.connect("d")
    world.put("d", "one", life_s=1000)
    sent = len(world.deliveries)
    world.wait(RESEND_AFTER_S - 0.001)
    assert len(world.deliveries) == sent
    world.wait(2 * RESEND_AFTER_S + 0.001)
    assert len(world.deliveries) == sent + 3
    assert world.commands["d", "one"].sends == 4
    assert told(world, "one") == ["sent"]
    world.signal(CommandDelivered("d", "one", world.now_us))
    world.wait(100)
    assert len(world.deliveries) == sent + 3


def test_with_a_command_goes_the_one_that_is_on_its_way_before_it(world: World) -> None:
    world.connect("d")
    for id_ in "ab":
        world.put("d", id_)
    world.signal(CommandDelivered("d", "a", 1))
    world.put("d", "c")
    words = [([one.id for one in word.commands], word.behind) for word in world.deliveries if word.commands]
    assert words == [(["a"], None), (["b"], "a"), (["c"], "b")]
    world.deliveries.clear()
    many = [f"m{number:02}" for number in range(COMMANDS_PER_DELIVERY)]
    for id_ in many:
        world.put("d", id_)
    world.deliveries.clear()
    world.connect("d", "c2")
    words = [([one.id for one in word.commands], word.behind) for word in world.deliveries if word.commands]
    assert words == [(["a", "b", "c", *many[:7]], None), (many[7:], many[6])]


def test_only_what_waits_long_enough_is_sent_again(world: World) -> None:
    world.connect("d")
    world.put("d", "one")
    world.wait(RESEND_AFTER_S / 2)
    world.put("d", "two")
    world.wait(RESEND_AFTER_S / 2)
    assert [command.id for command in world.deliveries[-1].commands] == ["one"]
    assert world.commands["d", "two"].sends == 1


def test_nothing_is_sent_again_while_the_device_is_away(world: World) -> None:
    world.connect("d")
    world.put("d", "one", life_s=1000)
    world.disconnect("d")
    sent = len(world.deliveries)
    world.wait(100)
    assert len(world.deliveries) == sent


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_command_that_nobody_answers_expires_at_its_time(world: World, is_connected: bool) -> None:
    if is_connected:
        world.connect("d")
    world.put("d", "one", life_s=25)
    world.restart()
    world.wait(24.999)
    assert status(world, "one") != "expired"
    world.wait(0.001)
    command = world.commands["d", "one"]
    assert (command.status, command.updated_us) == ("expired", 1025 * S)
    assert command.reason == f"it was {'sent' if is_connected else 'queued'} and not answered in time"
    answer(world, "one", "late")
    assert world.commands["d", "one"] == command


def test_a_command_that_had_expired_when_it_came_says_so_and_is_not_sent(world: World) -> None:
    world.connect("d")
    sent = len(world.deliveries)
    assert world.put("d", "one", life_s=0).status == "expired"
    assert len(world.deliveries) == sent


def test_a_command_that_expired_while_no_shard_was_there_reaches_no_device(world: World) -> None:
    world.put("d", "one", life_s=5)
    world.put("d", "two", life_s=50)
    world.put("d", "three", life_s=15)
    world.now_us += 10 * S  # and nothing fired
    world.connect("d")
    assert [command.id for delivery in world.deliveries for command in delivery.commands] == ["two", "three"]
    assert status(world, "one") == "expired"
    world.now_us += 10 * S
    assert [command.id for command in world.change("d", "take_commands", "d")] == ["two"]


def test_a_cancelled_command_is_over_and_who_cancelled_it_is_told(world: World) -> None:
    world.put("d", "one")
    cancelled = world.change("d", "cancel_command", "d", "one", by="anna")
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by anna")
    assert world.change("d", "cancel_command", "d", "one", by="anna") is None
    world.connect("d")
    assert [command for delivery in world.deliveries for command in delivery.commands] == []


def test_a_device_that_speaks_http_takes_its_commands_in_order_until_it_answers(world: World) -> None:
    for id_ in ("one", "two"):
        world.put("d", id_)
    taken: list[Command] = world.change("d", "take_commands", "d")
    assert [(command.id, command.status) for command in taken] == [("one", "delivered"), ("two", "delivered")]
    answer(world, "one")
    assert [command.id for command in world.change("d", "take_commands", "d")] == ["two"]
    assert told(world, "two") == ["queued", "delivered"]


def test_more_than_a_hundred_open_commands_are_refused_until_one_ends(world: World) -> None:
    for number in range(OPEN_LIMIT):
        world.put("d", f"c{number}")
    with pytest.raises(Overloaded, match="has 100 commands that are not at their end; the limit is 100"):
        world.put("d", "more")
    assert world.put("d", "c0").id == "c0", "one that exists is no more"
    answer(world, "c50")
    assert world.put("d", "more").status == "queued"


def test_what_cannot_be_a_command_is_refused_before_anything_changes(world: World) -> None:
    with pytest.raises(InvalidInput):
        world.put("d", "one", "no/name")
    with pytest.raises(NotFound):
        world.put("gone", "one")
    assert world.commands == {}


def test_an_answer_that_is_too_large_ends_the_command_without_it(world: World) -> None:
    world.put("d", "one")
    answer(world, "one", "x" * PAYLOAD_LIMIT)
    command = world.commands["d", "one"]
    assert (command.status, command.result) == ("succeeded", None)
    assert command.reason == f"the answer was dropped: result has {PAYLOAD_LIMIT + 2} bytes as JSON; the limit is 65536"


def test_an_answer_to_a_command_that_nobody_gave_says_nothing(world: World) -> None:
    answer(world, "never")
    world.signal(CommandDelivered("d", "never", world.now_us))
    assert (world.commands, world.events) == ({}, [])


def test_a_behaviour_sees_a_command_before_the_device_and_its_end() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Diary"), now_us=S)
    world.put("d", "one", life_s=5)
    world.put("d", "two", "close")
    answer(world, "two")
    world.wait(5)
    assert world.device("d").extra["calls"] == [
        ["command", "open", "queued"],
        ["command", "close", "queued"],
        ["result", "close", "succeeded"],
        ["result", "open", "expired"],
    ]


def test_a_behaviour_hears_of_the_end_of_a_command_that_had_expired_when_it_came() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Diary"), now_us=S)
    world.put("d", "one", life_s=0)
    assert world.device("d").extra["calls"] == [["command", "open", "queued"], ["result", "open", "expired"]]


def test_a_behaviour_that_answers_a_command_keeps_it_from_the_device() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Virtual"), now_us=S)
    world.connect("d")
    assert world.put("d", "one", "add", [1, 2, 3]).result == 6
    assert world.put("d", "two", "other").status == "sent"
    assert told(world, "one") == ["succeeded"]
    assert [command.id for delivery in world.deliveries for command in delivery.commands] == ["two"]


def test_a_behaviour_that_raises_at_a_command_does_not_keep_it_from_the_device() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Virtual"), now_us=S)
    world.connect("d")
    assert world.put("d", "one", "add", "not numbers").status == "sent"
    assert [failure.handler for failure in world.failures] == ["on_command"]


def test_the_commands_of_a_deleted_device_are_told_as_over_and_not_written_any_more() -> None:
    device = Device(id="d")
    world = World(device, now_us=S)
    world.put("d", "one")
    world.change("d", "change_registration", device, None)
    assert told(world, "one") == ["queued", "cancelled"]
    assert world.commands["d", "one"].status == "queued"
    assert world.owner("d").next_due_us() is None
