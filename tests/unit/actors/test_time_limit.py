"""A behaviour that does not return is ended, harms its own actor only, and nothing comes for one that has returned."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from iot_system.actors.behaviours import device_actor
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Effect
from iot_system.actors.stored import Stored
from iot_system.actors.time_limit import HANDLERS, Paused, TimeLimit, TooLong
from iot_system.domain.history import Reading
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import World

LIMIT_S = 0.1


class EndlessFromTheBeginning(DeviceActor):
    begun: ClassVar[int] = 0

    def __init__(self, device: Device, state: DeviceState) -> None:
        super().__init__(device, state)
        type(self).begun += 1
        spin()


class EndlessAtEachReading(DeviceActor):
    calls: ClassVar[list[str]] = []

    def on_reading(self, reading: Reading) -> Iterable[Effect]:
        self.calls.append(reading.device)
        spin()
        return []


def spin(for_s: float = float("inf")) -> str:
    """Use the processor for so long."""
    began_s = time.thread_time()
    while time.thread_time() - began_s < for_s:
        pass
    return "done"


def going_on_after_exceptions() -> None:
    mistakes = 0
    while True:
        try:
            spin()
        except Exception:  # noqa: BLE001 - as users write it
            mistakes += 1


def going_on_twice_after_everything() -> None:
    mistakes = 0
    while mistakes < 2:
        try:
            spin()
        except BaseException:  # noqa: BLE001 - as users write it
            mistakes += 1
    spin()


def waiting() -> None:
    while True:
        time.sleep(LIMIT_S / 100)


@pytest.mark.parametrize("work", [spin, going_on_after_exceptions, going_on_twice_after_everything, waiting])
def test_what_does_not_return_is_ended(work: Callable[[], object]) -> None:
    limit = TimeLimit(LIMIT_S)
    with pytest.raises(TooLong):
        limit.run(work, of=work)
    assert limit.run(lambda: "the next one", of="another") == "the next one"


def test_it_is_ended_in_the_thread_that_it_runs_in() -> None:
    limit = TimeLimit(LIMIT_S)
    with ThreadPoolExecutor(1) as other:
        ended = other.submit(limit.run, spin, of=spin)
        assert isinstance(ended.exception(timeout=60), TooLong)
        assert other.submit(limit.run, lambda: "the next one", of="another").result(timeout=60) == "the next one"


def test_what_returns_just_in_time_is_not_ended_however_often_it_runs() -> None:
    limit = TimeLimit(LIMIT_S)
    assert [limit.run(lambda: spin(0.95 * LIMIT_S), of=spin) for _ in range(5)] == ["done"] * 5


def test_the_own_error_of_what_is_run_goes_on() -> None:
    with pytest.raises(ZeroDivisionError):
        TimeLimit(LIMIT_S).run(lambda: 1 / 0, of="it")


def test_nothing_comes_for_what_has_returned_about_when_its_time_was_over() -> None:
    chance, limit = random.Random(1), TimeLimit(0.02)
    until_s = time.thread_time() + 2
    ended = 0
    while time.thread_time() < until_s:
        for_s = 0.02 * chance.uniform(1, 2)
        try:
            limit.run(lambda for_s=for_s: spin(for_s), of=object())  # type: ignore[misc]
        except TooLong:
            ended += 1
        spin(0.0005)  # here it would come
    assert ended, "none of them was over its time"


def test_who_took_its_end_for_nothing_is_not_called_again_until_its_pause_is_over() -> None:
    def swallowing() -> None:
        with contextlib.suppress(BaseException):
            spin()

    limit = TimeLimit(LIMIT_S)
    with contextlib.suppress(TooLong):  # a busy machine may come to raise it once more
        limit.run(swallowing, of="it")
    with pytest.raises(Paused, match=r"^it took too long a moment ago and is not called for the next \d\d s$"):
        limit.run(lambda: "called", of="it")
    limit.pause_s = 0
    assert limit.run(lambda: "called", of="it") == "called"


def test_a_handler_that_never_returns_counts_as_one_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HANDLERS, "limit_s", LIMIT_S)
    monkeypatch.setattr(HANDLERS, "pause_s", 0.0)
    world = World(Device(id="d", behaviour=f"{HERE}:NeverReturning"), Device(id="e", behaviour=f"{HERE}:Counting"))
    changes = world.send("d", {"bad": 1.0})
    world.send("e", {"bad": 1.0})
    world.send("d", {"good": 1.0})
    state = world.device("d")
    assert (state.errors, state.extra) == (1, {"good": True})
    assert [one.values for one in changes.readings] == [{"bad": 1.0}]
    assert [(one.handler, "'bad'" in one.message) for one in world.failures] == [("on_reading", True)]
    assert "TooLong: it did not return in time (sample_behaviours.py" in world.of_kind("error")[0]["error"]
    assert (world.device("e").errors, world.device("e").extra) == (0, {"seen": 1})


def test_a_handler_that_never_returns_is_called_once_for_all_devices_of_a_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HANDLERS, "limit_s", LIMIT_S)
    behaviour = f"{__name__}:{EndlessAtEachReading.__name__}"
    endless = [f"d{number}" for number in range(20)]
    devices = [Device(id=id_, behaviour=behaviour) for id_ in endless]
    world = World(*devices, Device(id="e", behaviour=f"{HERE}:Counting"), partitions=1)
    actors = world.owner("e")

    def send(time_us: int) -> Changes:
        changes = Changes()
        frame = [Telemetry(id_, time_us, {"t": 1.0}) for id_ in [*endless, "e"]]
        actors.receive_telemetry(frame, changes, stored=Stored(), now_us=time_us)
        world.commit(actors, changes)
        return changes

    changes = send(1)
    assert EndlessAtEachReading.calls == ["d0"]
    assert [one.device for one in changes.readings] == [*endless, "e"]
    assert [world.device(id_).errors for id_ in [*endless, "e"]] == [1] * 20 + [0]
    assert [one.actor.id for one in world.failures] == endless
    assert {one.error.partition(" (")[0] for one in world.failures[:1]} == {"TooLong: it did not return in time"}
    assert all(one.error.startswith("Paused: it took too long a moment ago") for one in world.failures[1:])
    assert all("'t'" in one.message for one in world.failures)
    assert len(world.of_kind("error")) == 20
    assert world.device("e").extra == {"seen": 1}
    assert type(device_actor(devices[0], DeviceState(), [])) is EndlessAtEachReading, "it begins in time"
    monkeypatch.setattr(HANDLERS, "pause_s", 0.0)
    monkeypatch.setattr(EndlessAtEachReading, "calls", [])
    del endless[1:]
    send(2)
    assert EndlessAtEachReading.calls == ["d0"]


def test_a_behaviour_that_never_begins_leaves_a_plain_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HANDLERS, "limit_s", LIMIT_S)
    behaviour = f"{__name__}:{EndlessFromTheBeginning.__name__}"
    made = [device_actor(Device(id=id_, behaviour=behaviour), DeviceState(), []) for id_ in ("d", "e", "f")]
    assert [type(one) for one in made] == [DeviceActor] * 3
    assert EndlessFromTheBeginning.begun == 1, "it was tried again at once"
