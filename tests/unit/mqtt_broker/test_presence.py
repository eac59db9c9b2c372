"""Who lives."""

from __future__ import annotations

from iot_system.adapters.mqtt.broker.presence import DEAD_AFTER_S, Presence


def test_a_process_is_dead_when_nothing_came_from_it_for_long_enough() -> None:
    presence = Presence(0.0)
    presence.heard("a", 10.0)
    assert not presence.is_dead("a", 10.0 + DEAD_AFTER_S - 0.1)
    assert presence.is_dead("a", 10.0 + DEAD_AFTER_S)


def test_a_process_that_was_never_heard_is_dead_once_it_had_the_time_to_be() -> None:
    presence = Presence(100.0)
    assert not presence.is_dead("a", 101.0)
    assert presence.is_dead("a", 100.0 + DEAD_AFTER_S)


def test_a_death_is_told_once_and_one_of_those_that_live_is_the_first() -> None:
    presence = Presence(0.0)
    for name, at in (("a", 0.0), ("b", 10.0), ("c", 10.0)):
        presence.heard(name, at)
    assert presence.is_first("a")
    assert not presence.is_first("b")
    assert presence.take_dead(DEAD_AFTER_S) == ["a"]
    assert presence.take_dead(DEAD_AFTER_S) == []
    assert presence.is_dead("a", DEAD_AFTER_S)
    assert [name for name in ("b", "c") if presence.is_first(name)] == ["b"]
