"""The device actor: what is new, what was heard before, and what its behaviour asks for."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Effect, Remember, Report
from iot_system.actors.reactions import react
from iot_system.actors.stored import Stored
from iot_system.adapters.blobs import decode_device_state, encode_blob
from iot_system.domain.history import Reading
from iot_system.domain.readings import Telemetry
from iot_system.domain.recognising import RECENT_IDS
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState, Latest


def said(time_us: int, seq: int | None = None, *, boot: str | None = None, id_: str | None = None) -> Telemetry:
    return Telemetry("d", time_us, {"t": float(time_us)}, seq, boot, id_)


def apply(actor: DeviceActor, *effects: Effect) -> None:
    def on_something() -> list[Effect]:
        return list(effects)

    changes = Changes()
    react(actor, on_something, changes=changes)
    assert not changes.failures


@pytest.fixture
def actor() -> DeviceActor:
    return DeviceActor(Device(id="d"), DeviceState())


def test_a_reading_becomes_the_latest(actor: DeviceActor) -> None:
    assert actor.receive(said(5), Stored(), {}) == said(5)
    assert actor.state.latest == {"t": Latest(5, 5.0)}
    assert actor.state.last_seen_us == 5


def test_a_late_reading_is_history_but_not_the_latest(actor: DeviceActor) -> None:
    actor.receive(said(5), Stored(), {})
    assert actor.late(said(3)) == [Reading("d", "t", 3, 3.0)]
    assert actor.receive(said(3), Stored(), {}) == said(3)
    assert actor.state.latest == {"t": Latest(5, 5.0)}
    assert actor.state.last_seen_us == 5


def test_only_what_is_not_newer_than_all_known_needs_the_store(actor: DeviceActor) -> None:
    actor.receive(said(5), Stored(), {})
    assert actor.late(said(6)) == []
    assert actor.late(said(5)) == [Reading("d", "t", 5, 5.0)]
    assert actor.late(Telemetry("d", 4, {"new": 1, "t": 4.0})) == [Reading("d", "t", 4, 4.0)]


def test_a_reading_that_the_history_has_is_not_new(actor: DeviceActor) -> None:
    actor.receive(said(5), Stored(), {})
    assert actor.receive(said(3), Stored({("d", "t", 3)}), {}) is None


def test_the_same_reading_twice_before_a_commit_is_new_once(actor: DeviceActor) -> None:
    stored = Stored()
    times = [5, 5, 3, 3, 5, 3]
    assert [actor.receive(said(time_us), stored, {}) for time_us in times] == [said(5), None, said(3), None, None, None]


def test_only_the_new_metrics_of_a_message_are_new(actor: DeviceActor) -> None:
    stored = Stored()
    actor.receive(said(5), stored, {})
    assert actor.receive(Telemetry("d", 5, {"t": 9.0, "h": 1}), stored, {}) == Telemetry("d", 5, {"h": 1})
    assert actor.state.latest["t"] == Latest(5, 5.0)


def test_a_sequence_number_heard_before_is_a_re_send(actor: DeviceActor) -> None:
    actor.receive(said(5, 7), Stored(), {})
    assert actor.is_resent(said(6, 7))
    assert not actor.is_resent(said(6, 8))
    assert not actor.is_resent(said(6))


def test_what_was_refused_is_no_re_send_behind_what_came_after_it(actor: DeviceActor) -> None:
    for number in (1, 3):
        actor.receive(said(number, number), Stored(), {})
    assert not actor.is_resent(said(2, 2))
    assert actor.receive(said(2, 2), Stored(), {}) == said(2, 2)
    assert all(actor.is_resent(said(number, number)) for number in (1, 2, 3))
    assert actor.state.latest["t"] == Latest(3, 3.0)


def test_what_the_boot_before_said_is_known_again_behind_what_this_one_says(actor: DeviceActor) -> None:
    for message in (said(5, 6, boot="one"), said(6, 0, boot="two")):
        actor.receive(message, Stored(), {})
    assert actor.is_resent(said(7, 6, boot="one"))
    late = said(8, 7, boot="one")
    assert not actor.is_resent(late)
    actor.receive(late, Stored(), {})
    assert actor.is_resent(said(9, 7, boot="one"))
    assert actor.is_resent(said(9, 0, boot="two"))
    assert not actor.is_resent(said(9, 1, boot="two"))


def test_sequence_numbers_begin_again_with_each_boot(actor: DeviceActor) -> None:
    actor.receive(said(5, 7, boot="one"), Stored(), {})
    assert not actor.is_resent(said(6, 0, boot="two"))
    actor.receive(said(6, 0, boot="two"), Stored(), {})
    assert actor.is_resent(said(6, 0, boot="two"))
    assert not actor.is_resent(said(7, 1, boot="two"))


def test_the_first_sequence_number_may_be_zero(actor: DeviceActor) -> None:
    assert not actor.is_resent(said(5, 0))


def test_the_last_ids_of_messages_are_remembered(actor: DeviceActor) -> None:
    for number in range(RECENT_IDS + 1):
        assert not actor.is_resent(said(number, id_=f"m{number}"))
        actor.receive(said(number, id_=f"m{number}"), Stored(), {})
    assert len(actor.state.recent_ids) == RECENT_IDS
    assert not actor.is_resent(said(0, id_="m0"))
    assert all(actor.is_resent(said(0, id_=f"m{number}")) for number in range(1, RECENT_IDS + 1))


def test_the_state_survives_the_store(actor: DeviceActor) -> None:
    actor.receive(said(5, 7, boot="b", id_="m"), Stored(), {})
    apply(actor, Report({"a": 1}), Remember({"b": [2]}))
    again = msgspec.json.decode(msgspec.json.encode(actor.state), type=DeviceState)
    assert again == actor.state
    assert DeviceActor(Device(id="d"), again).is_resent(said(9, 7, boot="b"))


def test_effects_merge_into_what_is_reported_and_remembered(actor: DeviceActor) -> None:
    apply(actor, Report({"a": {"b": 1, "c": 2}}), Report({"a": {"b": None}}), Remember({"n": 1}))
    assert actor.state.reported == {"a": {"c": 2}}
    assert actor.state.reported_version == 2
    assert actor.memory == {"n": 1}


def test_no_state_is_shared_between_new_devices() -> None:
    one, other = DeviceActor(Device(id="d"), DeviceState()), DeviceActor(Device(id="e"), DeviceState())
    one.receive(said(5, id_="m"), Stored(), {})
    apply(one, Report({"a": 1}), Remember({"b": 1}))
    assert other.state == DeviceState()


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("abc"), min_size=1), st.integers(1, 12), st.booleans(), st.booleans()),
        max_size=12,
    )
)
def test_whatever_comes_together_or_late_the_newest_of_each_metric_is_kept_with_its_time(
    told: list[tuple[set[str], int, bool, bool]],
) -> None:
    actor, stored = DeviceActor(Device(id="d"), DeviceState()), Stored()
    newest: dict[str, Latest] = {}
    for number, (metrics, time_us, has_text, is_alone) in enumerate(told):
        value: float | str = f"{number}" if has_text else float(number)
        message = Telemetry("d", time_us, dict.fromkeys(sorted(metrics), value))
        if is_alone or not actor.receive_newer([message]):
            actor.receive(message, stored, {})
        for metric in metrics:
            if metric not in newest or newest[metric].time_us < time_us:
                newest[metric] = Latest(time_us, value)
        assert message.values == dict.fromkeys(metrics, value), "a message is others' too"
        assert actor.state.latest == newest
        assert decode_device_state(encode_blob(actor.state)) == actor.state
