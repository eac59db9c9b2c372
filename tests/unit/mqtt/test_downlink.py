"""What a device's connection is sent, and what is told to the device's owner, without broker and network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from iot_system.adapters.mqtt.broker.attachment import Attachment, session_from
from iot_system.adapters.mqtt.downlink import Downlink
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.domain import deliveries
from iot_system.domain.commands import Command
from iot_system.domain.signals import CommandDelivered, Connected, DesiredDelivered, Disconnected, Signal
from iot_system.ports.broker import SessionRecord, Subscription


class Line:
    """A device ``one`` on a connection; what it does not acknowledge stays in its session."""

    def __init__(self, *filters: str, qos: int = 1, limits: MqttLimits | None = None, takes_bytes: int = 2**28) -> None:
        self.limits = limits or MqttLimits()
        self.takes_bytes = takes_bytes
        """Of one message."""
        self.sent: list[Delivery] = []
        self.said: list[Signal] = []
        record = SessionRecord(owner="device:one", client_id="c", connection="k")
        self.member = Attachment(self, session_from(record, []), record, 1, self.limits)
        self.member.subscriptions = {one: Subscription(one, qos) for one in filters}
        now_us = count(1).__next__
        self.downlink = Downlink("one", "pod", "k", self.member, now_us=now_us, say=self.said.append)
        self.downlink.begin()

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        dropped = [one for one in messages if not self._takes(one)]
        self.sent += [one for one in messages if one not in dropped]
        return dropped

    def _takes(self, message: Delivery) -> bool:
        if message.size > self.takes_bytes:
            return False
        return not message.qos or self.member.session.queue(message, self.limits, 0.0)

    def taken_over(self) -> None:
        raise AssertionError("nobody takes it over here")

    def failed(self) -> None:
        raise AssertionError("nothing fails here")

    def acknowledge(self, count: int | None = None) -> None:
        """All that it was sent, or the first ``count``."""
        self.downlink.acknowledged(self.taken(count), [])

    def taken(self, count: int | None = None) -> list[Delivery]:
        """Out of the session."""
        session = self.member.session
        while session.take(0.0) is not None:
            pass
        done = [session.acknowledge(packet_id) for packet_id in list(session.in_flight)[:count]]
        return [one for one in done if one is not None]

    def give(
        self,
        *commands: Command,
        desired: deliveries.Desired | None = None,
        device: str = "one",
        behind: str | None = None,
    ) -> None:
        self.downlink.deliver(deliveries.Delivery(device, "k", desired, list(commands), behind))

    def payloads(self) -> list[Any]:
        return [json.loads(one.payload) for one in self.sent]

    def last(self) -> Signal:
        return self.said[-1]

    def asked(self) -> int:
        """How often all was asked for, beside at the beginning."""
        return sum(isinstance(one, Connected) for one in self.said) - 1

    def delivered(self) -> list[str]:
        return [one.command for one in self.said if isinstance(one, CommandDelivered)]

    def give_in_parts(self, commands: Sequence[Command], *, size: int) -> None:
        """As the owner sends all of them."""
        behind = None
        for first in range(0, len(commands), size):
            part = commands[first : first + size]
            self.give(*part, behind=behind)
            behind = part[-1].id


def whole(version: int) -> deliveries.Desired:
    return deliveries.Desired(version, {"v": version}, is_whole=True)


def patch(version: int) -> deliveries.Desired:
    return deliveries.Desired(version, {"v": version}, is_whole=False)


def command(id_: str, payload: str = "") -> Command:
    return Command(id=id_, device="one", name="go", payload=payload, created_us=1, updated_us=1, expires_us=10**15)


def connected(device: str, *, desired: bool, commands: bool, time_us: int) -> Connected:
    return Connected(device, "pod", "k", time_us, desired, commands)


def test_the_owner_is_told_what_the_device_listens_to() -> None:
    for filters, desired, commands in (
        ([], False, False),
        (["v1/devices/me/twin/desired"], True, False),
        (["v1/devices/one/commands/+/+"], False, True),
        (["v1/devices/me/commands/+/go"], False, True),
        (["v1/devices/me/#"], True, True),
        (["v1/devices/me/+/+"], True, False),
        (["v1/devices/me/telemetry", "app/devices/one/#"], False, False),
    ):
        assert Line(*filters).said == [connected("one", desired=desired, commands=commands, time_us=1)], filters


def test_a_patch_that_does_not_follow_is_not_sent_but_the_whole_is_asked_for() -> None:
    line = Line("v1/devices/me/twin/desired")
    line.give(desired=whole(3))
    line.give(desired=patch(4))
    line.give(desired=patch(4))
    line.give(desired=patch(6))
    assert line.payloads() == [{"version": 3, "desired": {"v": 3}}, {"version": 4, "patch": {"v": 4}}]
    assert isinstance(line.last(), Connected)
    line.give(desired=whole(6))
    line.give(desired=patch(7))
    assert [one["version"] for one in line.payloads()] == [3, 4, 6, 7]


def test_a_desired_state_for_which_there_was_no_room_is_asked_for_once_there_is() -> None:
    line = Line("v1/devices/me/twin/desired", limits=MqttLimits(queued_messages=1))
    line.give(desired=whole(1))
    line.give(desired=patch(2))
    said = len(line.said)
    line.acknowledge()
    assert line.said[said:] == [
        DesiredDelivered("one", 1, said + 1),
        connected("one", desired=True, commands=False, time_us=said + 2),
    ]


def test_a_command_that_is_sent_again_while_it_is_on_its_way_does_not_pile_up() -> None:
    line = Line("v1/devices/me/commands/+/+")
    line.give(command("a"))
    line.give(command("a"), command("b"))
    assert [one.id for one in line.sent] == ["cone/a", "cone/b"]
    line.acknowledge()
    assert line.delivered() == ["a", "b"]


def test_a_command_that_is_sent_again_after_newer_ones_is_not_given_again_but_told_as_delivered() -> None:
    line = Line("v1/devices/me/commands/+/+")
    line.give(command("a"), command("b"))
    line.acknowledge()
    said = len(line.said)
    line.give(command("a"))
    assert line.said[said:] == [CommandDelivered("one", "a", said + 1)]
    assert [one.id for one in line.sent] == ["cone/a", "cone/b"]


def test_who_subscribes_anew_gets_all_commands_again() -> None:
    line = Line("v1/devices/me/commands/+/+")
    line.give(command("a"))
    line.acknowledge()
    line.downlink.subscribed([Subscription("v1/devices/me/commands/+/+", 1)])
    line.give(command("a"))
    assert [one.id for one in line.sent] == ["cone/a", "cone/a"]


def test_a_command_behind_one_that_was_lost_waits_and_all_is_asked_for_once() -> None:
    line = Line("v1/devices/me/commands/+/+")
    line.give(command("a"))
    said = len(line.said)
    line.give(command("c"), behind="b")
    line.give(command("d"), behind="c")
    assert line.said[said:] == [connected("one", desired=False, commands=True, time_us=said + 1)]
    line.give(*map(command, "abcd"))
    line.give(command("e"), behind="d")
    assert [one.id for one in line.sent] == ["cone/a", "cone/b", "cone/c", "cone/d", "cone/e"]


def test_a_command_that_found_no_room_is_given_once_there_is() -> None:
    line = Line("v1/devices/me/commands/+/+", limits=MqttLimits(queued_messages=1))
    line.give(command("a"))
    line.give(command("b"), behind="a")
    assert [one.id for one in line.sent] == ["cone/a"]
    line.acknowledge()
    line.give(command("b"))
    assert [one.id for one in line.sent] == ["cone/a", "cone/b"]


def test_commands_that_find_no_room_are_asked_for_once_there_is_and_keep_their_order() -> None:
    line = Line("v1/devices/me/commands/+/+", limits=MqttLimits(queued_messages=4))
    commands = [command(id_) for id_ in "abcdefghi"]
    line.give_in_parts(commands, size=2)
    line.give_in_parts(commands, size=2)
    assert line.asked() == 0
    assert [one.id for one in line.sent] == ["cone/a", "cone/b", "cone/c", "cone/d"]
    line.acknowledge(1)
    assert line.asked() == 0, "all is sent again for each, so not before half of the room is free"
    line.acknowledge(1)
    assert line.asked() == 1
    line.give_in_parts(commands[2:], size=2)
    line.acknowledge()
    assert line.asked() == 2
    line.give_in_parts(commands[6:], size=2)
    line.acknowledge()
    assert line.asked() == 2
    assert line.delivered() == list("abcdefghi")


def test_a_small_command_does_not_overtake_a_large_one_that_finds_no_room() -> None:
    line = Line("v1/devices/me/commands/+/+", limits=MqttLimits(queued_bytes=1000))
    large = command("large", "x" * 500)
    line.give(command("before", "x" * 500))
    line.give(large, command("small"), behind="before")
    line.acknowledge()
    line.give(large, command("small"))
    assert [one.id for one in line.sent] == ["cone/before", "cone/large", "cone/small"]


@pytest.mark.parametrize("qos", [0, 1])
def test_a_command_that_is_too_large_for_the_client_keeps_nobody_waiting_and_is_never_told_as_delivered(
    qos: int,
) -> None:
    line = Line("v1/devices/me/commands/+/+", qos=qos, takes_bytes=500)
    commands = [command("a"), command("large", "x" * 600), command("b"), command("c")]
    line.give_in_parts(commands, size=2)
    line.acknowledge()
    line.give(commands[1])
    assert line.asked() == 0
    assert [one.id for one in line.sent] == ["cone/a", "cone/b", "cone/c"]
    assert line.delivered() == ["a", "b", "c"]


def test_a_command_that_turns_out_too_large_when_its_turn_comes_is_never_told_as_delivered() -> None:
    line = Line("v1/devices/me/commands/+/+")
    line.give(command("a"), command("large"))
    had, large = line.taken()
    line.downlink.acknowledged([had], [large])
    line.give(command("large"))
    assert line.delivered() == ["a"]


def test_a_command_that_the_device_does_not_listen_to_is_never_told_as_delivered() -> None:
    line = Line("v1/devices/me/commands/+/stop")
    line.give(command("a"))
    line.give(command("a"))
    assert not any(isinstance(one, CommandDelivered) for one in line.said)


def test_with_qos_0_what_is_written_counts_as_delivered() -> None:
    line = Line("v1/devices/me/#", qos=0)
    line.give(command("a"), desired=whole(1))
    assert [type(one) for one in line.said[1:]] == [DesiredDelivered, CommandDelivered]


def test_a_command_that_no_filter_matches_is_not_sent() -> None:
    line = Line("v1/devices/me/commands/+/stop")
    line.give(command("a"))
    assert line.sent == []


def test_a_gateway_is_connected_for_each_device_that_it_has_subscribed_for() -> None:
    line = Line("v1/devices/two/#")
    assert line.said == [
        connected("one", desired=False, commands=False, time_us=1),
        connected("two", desired=True, commands=True, time_us=2),
    ]
    line.member.subscriptions.clear()
    line.downlink.unsubscribed()
    assert line.last() == Disconnected("two", "k", "unsubscribed", 3)
    line.downlink.end("clean")
    assert line.said[3:] == [Disconnected("one", "k", "clean", 4)]
