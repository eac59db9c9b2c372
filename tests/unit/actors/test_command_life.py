"""Whatever happens to the commands of a device, in whatever order: the laws of a command's life hold."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from iot_system.domain.commands import FINAL
from iot_system.domain.registry import Device
from iot_system.domain.signals import CommandAnswer, CommandDelivered

from tests.unit.actors.world import S, World


class Life(RuleBasedStateMachine):
    """One device, its commands, its connection, its owner and time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Device(id="d"), now_us=S)
        self.given: list[str] = []
        self.connection = 0
        self.is_connected = False

    ids = st.sampled_from([f"c{number}" for number in range(6)])

    @rule(id_=ids, life_s=st.sampled_from([0, 3, 15, 60]))
    def put(self, id_: str, life_s: int) -> None:
        known = self.world.commands.get(("d", id_))
        if known is not None:
            assert self.world.change("d", "put_command", known, known=known).id == id_
        else:
            self.world.put("d", id_, life_s=life_s)
            self.given.append(id_)

    @rule()
    def connect(self) -> None:
        self.connection += 1
        sent = len(self.world.deliveries)
        self.world.connect("d", f"x{self.connection}")
        self.is_connected = True
        got = [command.id for one in self.world.deliveries[sent:] for command in one.commands]
        assert got == [id_ for id_ in self.given if self.world.commands["d", id_].is_open]

    @precondition(lambda self: self.is_connected)
    @rule()
    def disconnect(self) -> None:
        self.world.disconnect("d", f"x{self.connection}")
        self.is_connected = False

    @rule(id_=ids)
    def deliver(self, id_: str) -> None:
        self.world.signal(CommandDelivered("d", id_, self.world.now_us))

    @rule(id_=ids, status_=st.sampled_from(["succeeded", "failed"]))
    def answer(self, id_: str, status_: Any) -> None:
        self.world.signal(CommandAnswer("d", id_, status_, id_, self.world.now_us))

    @rule(id_=ids)
    def cancel(self, id_: str) -> None:
        self.world.change("d", "cancel_command", "d", id_, by="")

    @rule()
    def take(self) -> None:
        taken = self.world.change("d", "take_commands", "d")
        assert [one.id for one in taken] == [id_ for id_ in self.given if self.world.commands["d", id_].is_open]

    @rule(seconds=st.sampled_from([0.5, 4, 30]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def every_command_has_one_end_at_most_and_nothing_after_it(self) -> None:
        for id_ in self.given:
            seen = [data["status"] for data in self.world.of_kind("command") if data["id"] == id_]
            assert seen[-1] == self.world.commands["d", id_].status
            assert sum(one in FINAL for one in seen) <= 1
            assert all(one not in FINAL for one in seen[:-1])
            assert len(seen) == len(set(seen)), "no step is told twice"

    @invariant()
    def what_is_open_is_in_memory_and_the_rest_is_not(self) -> None:
        in_memory = list(self.world.owner("d").devices["d"].commands.values())
        assert in_memory == [one for id_ in self.given if (one := self.world.commands["d", id_]).is_open]

    @invariant()
    def nothing_open_is_past_its_time(self) -> None:
        due_us = self.world.owner("d").next_due_us()
        assert due_us is None or due_us > self.world.now_us

    def teardown(self) -> None:
        self.world.wait(100)
        assert all(not command.is_open for command in self.world.commands.values())


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
