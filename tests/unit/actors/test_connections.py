"""Who is connected: the newest connection, until it ends or its gateway vanishes."""

from __future__ import annotations

import pytest
from iot_system.actors.changes import Changes
from iot_system.actors.partition import PartitionActors
from iot_system.domain.registry import Device
from iot_system.domain.signals import Connected
from iot_system.domain.twin import Connection

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import GATEWAY, World


@pytest.fixture
def world() -> World:
    return World(Device(id="d", behaviour=f"{HERE}:Diary"), now_us=1000)


def at(gateway: str, connection: str, time_us: int) -> Connected:
    return Connected("d", gateway, connection, time_us, wants_desired=True, wants_commands=True)


def test_a_connection_begins_and_ends_and_both_are_told(world: World) -> None:
    world.connect("d")
    assert world.device("d").connection == Connection(GATEWAY, "c1", 1000, wants_desired=True, wants_commands=True)
    world.now_us = 5000
    world.disconnect("d", reason="keep-alive ended")
    state = world.device("d")
    assert (state.connection, state.left_us, state.left_reason) == (None, 5000, "keep-alive ended")
    assert world.of_kind("connection") == [
        {"connected": True, "reason": None},
        {"connected": False, "reason": "keep-alive ended"},
    ]
    assert state.extra["calls"] == [["connected"], ["disconnected", "keep-alive ended"]]


def test_the_end_of_an_older_connection_says_nothing(world: World) -> None:
    world.connect("d", "c1")
    world.signal(at("api-2", "c2", 2000))
    world.disconnect("d", "c1")
    connection = world.device("d").connection
    assert connection is not None
    assert connection.connection == "c2"
    assert len(world.of_kind("connection")) == 2


def test_an_older_connection_that_is_heard_of_late_does_not_count(world: World) -> None:
    world.signal(at("api-2", "c2", 2000), at("api-1", "c1", 1500))
    connection = world.device("d").connection
    assert connection is not None
    assert connection.connection == "c2"
    assert world.device("d").extra["calls"] == [["connected"]]


@pytest.mark.parametrize("newest", ["c1", "c2"])
def test_whichever_clock_is_ahead_the_connection_that_is_left_counts_and_gets_everything(
    world: World, newest: str
) -> None:
    """A device that moves to another gateway: the old one tells its end once it is taken over."""
    world.put("d", "one")
    world.signal(at("api-1", "c1", 2000), at("api-2", "c2", 3000 if newest == "c2" else 1500))
    world.disconnect("d", "c1", reason="taken over")
    connection = world.device("d").connection
    assert connection is not None
    assert (connection.gateway, connection.connection) == ("api-2", "c2")
    assert world.device("d").beside == ()
    assert world.owner("d").gateways() == ["api-2"]
    assert [command.id for one in world.deliveries if one.connection == "c2" for command in one.commands] == ["one"]
    assert all(data["connected"] for data in world.of_kind("connection"))
    world.disconnect("d", "c2")
    assert world.of_kind("connection")[-1] == {"connected": False, "reason": "gone"}


def test_the_end_of_a_second_connection_leaves_the_first_as_it_was_also_in_another_process(world: World) -> None:
    world.connect("d", "c1")
    world.signal(at("api-2", "c2", 2000))
    world.restart()
    world.deliveries.clear()
    world.disconnect("d", "c2")
    world.change("d", "patch_desired", "d", {"a": 1}, if_version=None, by="")
    assert [one.connection for one in world.deliveries if one.desired] == ["c1", "c1"]


def test_of_many_connections_the_newest_are_remembered(world: World) -> None:
    for number in range(10):
        world.signal(at(f"api-{number}", f"c{number}", 2000 + number))
    state = world.device("d")
    assert [one.connection for one in (*state.beside, state.connection) if one] == ["c6", "c7", "c8", "c9"]
    assert sorted(world.owner("d").gateways()) == ["api-6", "api-7", "api-8", "api-9"]


def test_a_gateway_that_vanished_takes_also_those_of_its_connections_that_did_not_count(world: World) -> None:
    world.connect("d", "c1")
    world.signal(at("api-2", "c2", 2000))
    asked = world.change("d", "lose_gateway", GATEWAY, ["d"])
    assert [(one.connection, one.desired, one.commands) for one in asked] == [("c1", None, [])]
    state = world.device("d")
    assert state.beside == ()
    assert state.connection is not None
    world.disconnect("d", "c2")
    assert world.device("d").connection is None


def test_a_connection_that_listens_to_more_is_the_same_connection(world: World) -> None:
    world.connect("d", desired=False, commands=False)
    world.connect("d", desired=True, commands=False)
    assert world.of_kind("connection") == [{"connected": True, "reason": None}]
    assert [delivery.desired is not None for delivery in world.deliveries] == [True]


def test_what_is_listened_to_newly_is_delivered_and_all_of_it_when_the_same_is_said_again(world: World) -> None:
    world.put("d", "one")
    world.connect("d", desired=False)
    world.connect("d")
    world.connect("d")
    assert [(one.desired is not None, [command.id for command in one.commands]) for one in world.deliveries] == [
        (False, ["one"]),
        (True, []),
        (True, []),
        (False, ["one"]),
    ]


def test_a_gateway_that_vanished_ends_its_connections_and_no_others() -> None:
    devices = [Device(id=id_) for id_ in "abcd"]
    world = World(*devices, partitions=1)
    for id_ in "abc":
        world.connect(id_)
    world.signal(Connected("d", "api-2", "x", 5, wants_desired=True, wants_commands=True))
    actors = world.owner("a")
    assert sorted(actors.gateways()) == [GATEWAY, "api-2"]
    lost = sorted(actors.connected_to(GATEWAY))
    assert lost == ["a", "b", "c"]
    for some in (lost[:2], lost[2:]):
        changes = Changes()
        actors.lose_gateway(GATEWAY, some, changes, now_us=9)
        actors.seal(changes)
        assert changes.connections == dict.fromkeys(some)
    assert actors.gateways() == ["api-2"]
    assert world.device("a").left_reason == "the gateway vanished"
    assert world.device("d").connection is not None


def test_a_gateway_that_vanished_is_forgotten_though_its_devices_were_deleted() -> None:
    world = World(Device(id="a"), partitions=1)
    world.connect("a")
    world.change("a", "change_registration", Device(id="a"), None)
    assert world.owner("a").gateways() == []
    assert world.of_kind("connection")[-1] == {"connected": False, "reason": "the device was deleted"}


def test_connections_are_known_from_the_claim_before_anybody_is_in_memory() -> None:
    actors = PartitionActors(
        0, received={}, sent={}, partition_of=lambda _: 0, connections={"api-1": ["a", "b"], "api-2": ["c"]}
    )
    assert sorted(actors.connected_to("api-1")) == ["a", "b"]
    changes = Changes()
    actors.lose_gateway("api-1", ["a", "b"], changes, now_us=5)  # both were deleted meanwhile
    assert actors.gateways() == ["api-2"]
    assert changes.events == []
