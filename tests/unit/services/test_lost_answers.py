"""Changes whose answers from the store get lost: what the store has is what actors and gateways see."""

from __future__ import annotations

import pytest
from iot_system.domain import questions as q
from iot_system.domain.registry import Device
from iot_system.errors import NotFound, Unauthenticated, Unavailable
from iot_system.services.shard import CHANGE_ATTEMPTS

from tests.unit.services.asked import DEVICE, OTHER, ask
from tests.unit.services.lifeline import Times
from tests.unit.services.system import ADMIN, ALL, Process, System, said

LOST = Unavailable("the answer got lost")


def every_time() -> Times:
    """The answers of all attempts of one change get lost."""
    return Times(CHANGE_ATTEMPTS, LOST)


async def test_a_change_whose_answer_got_lost_once_is_made_once(system: System, process: Process) -> None:
    process.line.after["commit"] = Times(1, LOST)
    view = await ask(system, q.PatchDesired(DEVICE, {"on": True}, by="ann"), q.DesiredView)
    assert view == q.DesiredView({"on": True}, 1)
    assert (await system.gateway.device(DEVICE)).state.desired_version == 1
    assert len((await system.store.list_audit(target=None, by="ann", limit=9, cursor=None)).items) == 1


async def test_a_change_whose_answers_got_lost_is_what_everybody_sees(system: System, process: Process) -> None:
    process.line.after["commit"] = every_time()
    with pytest.raises(Unavailable):
        await system.gateway.patch_device(DEVICE, {"room": "office", "enabled": False})
    view = await system.gateway.device(DEVICE)
    assert (view.device.room, view.device.enabled) == ("office", False)
    assert view.state.latest["t"].value == 1, "its state is the committed one"
    (problem,) = await system.gateway.ingest(ADMIN, said(DEVICE, 2))
    assert "disabled" in str(problem)


async def test_a_change_that_was_not_committed_is_seen_by_nobody(system: System, process: Process) -> None:
    process.line.before["commit"] = every_time()
    with pytest.raises(Unavailable):
        await ask(system, q.PatchDesired(DEVICE, {"on": True}), q.DesiredView)
    assert (await system.gateway.device(DEVICE)).state.desired == {}
    assert await ask(system, q.PatchDesired(DEVICE, {"on": 1}), q.DesiredView) == q.DesiredView({"on": 1}, 1)
    assert await process.owns(*ALL), "it took over again by itself"


async def test_where_the_store_is_away_for_longer_the_partition_waits_for_an_owner(
    system: System, process: Process
) -> None:
    process.line.before["commit"] = every_time()
    process.line.before["claim"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await ask(system, q.PatchDesired(DEVICE, {"on": True}), q.DesiredView)
    assert await process.owns(1, 2, 3), "nobody shall see what was not committed"
    await process.shard.claim([0])
    assert (await system.gateway.device(DEVICE)).state.desired == {}


async def test_a_removal_whose_answers_got_lost_leaves_no_actor(system: System, process: Process) -> None:
    process.line.after["commit"] = every_time()
    with pytest.raises(Unavailable):
        await system.gateway.delete_device(DEVICE)
    with pytest.raises(NotFound):
        await system.gateway.device(DEVICE)
    (problem,) = await system.gateway.ingest(ADMIN, said(DEVICE, 2))
    assert isinstance(problem, NotFound)


async def test_a_revocation_whose_answer_got_lost_keeps_the_token_out_at_once(system: System, process: Process) -> None:
    issued = await system.gateway.issue_token(DEVICE)
    assert (await system.gateway.authenticate(issued.token)).id == DEVICE
    process.line.after["delete_credential"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await system.gateway.revoke_credential(DEVICE, issued.credential)
    with pytest.raises(Unauthenticated):
        await system.gateway.authenticate(issued.token)


async def test_a_registration_whose_answers_got_lost_is_known_at_once(system: System, process: Process) -> None:
    (problem,) = await system.gateway.ingest(ADMIN, said(OTHER, 1))
    assert isinstance(problem, NotFound), "and remembered as such for a while"
    process.line.after["commit"] = every_time()
    with pytest.raises(Unavailable):
        await system.gateway.create_device(Device(id=OTHER))
    await system.say(OTHER, 1)
