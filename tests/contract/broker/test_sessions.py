"""The records of sessions against a real nats-server."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.ports.broker import (
    InFlight,
    Message,
    SessionRecord,
    SessionTaken,
    Subscription,
    Will,
    group_key,
    session_key,
)

RECORD = SessionRecord(
    owner="device d1",
    client_id="c",
    gateway="api-1",
    connection="k",
    expiry_s=60,
    position=7,
    subscriptions=(Subscription("app/#", 1, identifier=4), Subscription("app/x", group="g", since=3)),
    in_flight=(InFlight(1, 5), InFlight(0, 6, retained=2, identifiers=(4,))),
    received={9: ("k-3", True)},
    will=Will(Message("app/w", b"gone"), 5),
)


async def test_a_record_comes_back_as_it_was_saved(broker: NatsBroker) -> None:
    revision = await broker.sessions.save(RECORD, 0)
    assert await broker.sessions.load(RECORD.key) == (RECORD, revision)
    assert await broker.sessions.load(session_key("device d2", "c")) is None


async def test_of_two_that_write_over_the_same_revision_one_is_told_that_it_lost(broker: NatsBroker) -> None:
    revision = await broker.sessions.save(RECORD, 0)
    results = await asyncio.gather(*(broker.sessions.save(RECORD, revision) for _ in range(2)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["SessionTaken", "int"]
    with pytest.raises(SessionTaken):
        await broker.sessions.save(RECORD, 0)


async def test_only_the_newest_revision_can_be_deleted_and_nothing_is_left_of_it(broker: NatsBroker) -> None:
    old = await broker.sessions.save(RECORD, 0)
    new = await broker.sessions.save(RECORD, old)
    with pytest.raises(SessionTaken):
        await broker.sessions.delete(RECORD.key, old)
    await broker.sessions.delete(RECORD.key, new)
    assert await broker.sessions.load(RECORD.key) is None
    assert await broker.sessions.scan() == []
    assert await broker.sessions.save(RECORD, 0) > new


async def test_a_scan_tells_who_has_each_session_and_when_there_is_something_to_do(broker: NatsBroker) -> None:
    left = SessionRecord(owner="o", client_id="left", disconnected_us=1_000_000, expiry_s=60, will=RECORD.will)
    revisions = [await broker.sessions.save(one, 0) for one in (RECORD, left)]
    connected, disconnected = await broker.sessions.scan()
    assert (connected.key, connected.revision) == (RECORD.key, revisions[0])
    assert (connected.gateway, connected.due_us) == ("api-1", None)
    assert connected.groups == {group_key("g", "app/x")}
    assert (disconnected.key, disconnected.gateway, disconnected.due_us) == (left.key, "", 6_000_000)
