"""What is open ends with the credential that opened it, within seconds and for no other reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from chart_harness.waiting import until
from iot_system.domain.access import Principal, Role, Scope
from iot_system.domain.registry import ApiToken, Credential
from iot_system.errors import Unavailable
from iot_system.services.administration import ANNOUNCED
from iot_system.services.asking import Asking
from iot_system.services.revocation import ASK_AT_ONCE, CHECK_EVERY_S, Revocations

from tests.unit.services.answering import PARTITIONS, Registry
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.simulated_loop import SimulatedClock

DEVICE = Principal("device", "one", credential="c")
TOKEN = Principal("viewer", "api.t", (Scope("room", "lab"),), "t")
DEADLINE_S = 60.0
REVOKED_WITHIN_S = 5.0


class Open:
    """Something that is open: ``why`` is what it was ended with."""

    def __init__(self, revocations: Revocations, principal: Principal) -> None:
        self.why: list[str] = []
        self.end = revocations.watch(principal, self.why.append)

    async def ended(self, within_s: float) -> str:
        await until(lambda: self.why, within_s=within_s)
        return self.why[0]


class Served:
    def __init__(self) -> None:
        board = Switchboard()
        self.registry = Registry(board)
        self.registry.register("one", "two")
        self.issue("viewer", Scope("room", "lab"))
        self.clock = SimulatedClock()
        self._requests = MemoryRequests(board)
        self.revocations = Revocations(Asking(self._requests, PARTITIONS), self.clock)

    async def start(self) -> None:
        await self.registry.start()
        await self._requests.on_announcement(self.revocations.changed)
        await self.revocations.start()

    def open(self, principal: Principal) -> Open:
        return Open(self.revocations, principal)

    def issue(self, role: Role, *scopes: Scope) -> None:
        self.registry.tokens["t"] = ApiToken(id="t", name="t", role=role, scopes=scopes, sha256=b"", created_us=0)

    def set_credentials(self, *ids: str) -> None:
        """What the device ``one`` has from now on; nobody is told."""
        credentials = tuple(Credential(id=id_, device="one", sha256=b"", created_us=0) for id_ in ids)
        one = self.registry.devices["one"]
        self.registry.devices["one"] = msgspec.structs.replace(one, credentials=credentials)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    await served.start()
    yield served
    await served.revocations.stop()


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_device_is_cut_off_when_its_credential_is_revoked(served: Served, is_announced: bool) -> None:
    opened = served.open(DEVICE)
    await asyncio.sleep(60)
    served.set_credentials("another")
    if is_announced:
        await served.registry.announce("one")
    assert await opened.ended(0.1 if is_announced else REVOKED_WITHIN_S) == "the credential was revoked"


async def test_a_device_is_cut_off_when_it_is_disabled_or_removed(served: Served) -> None:
    first, second = served.open(DEVICE), served.open(Principal("device", "two", credential="c"))
    await served.registry.change("one", enabled=False)
    assert await first.ended(0.1) == "the device was disabled"
    del served.registry.devices["two"]
    await served.registry.announce("two")
    assert await second.ended(0.1) == "the device was removed"


async def test_other_changes_of_a_device_leave_its_connection_open(served: Served) -> None:
    opened = served.open(DEVICE)
    served.set_credentials("c", "new")
    await served.registry.announce("one")
    await asyncio.sleep(10 * CHECK_EVERY_S)
    assert opened.why == []


async def test_only_what_the_revoked_credential_opened_ends(served: Served) -> None:
    served.set_credentials("c", "new")
    old, new = served.open(DEVICE), served.open(Principal("device", "one", credential="new"))
    served.set_credentials("new")
    await served.registry.announce("one")
    await old.ended(0.1)
    await asyncio.sleep(10 * CHECK_EVERY_S)
    assert new.why == []


@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_program_is_cut_off_when_its_token_is_revoked(served: Served, is_announced: bool) -> None:
    opened = served.open(TOKEN)
    await asyncio.sleep(60)
    assert opened.why == []
    served.registry.tokens.clear()
    if is_announced:
        await served.registry.announce(f"{ANNOUNCED}t")
    assert await opened.ended(0.1 if is_announced else REVOKED_WITHIN_S) == "the API token was revoked"


@pytest.mark.parametrize("scopes", [(), (Scope("room", "hall"),)])
async def test_a_program_is_cut_off_when_its_token_means_something_else(
    served: Served, scopes: tuple[Scope, ...]
) -> None:
    opened = served.open(TOKEN)
    served.issue("viewer", *scopes)
    await opened.ended(REVOKED_WITHIN_S)


@pytest.mark.parametrize("credential", ["t", None])
async def test_whoever_came_with_a_token_that_expires_is_cut_off_then(served: Served, credential: str | None) -> None:
    expires_us = served.clock.now_us() + 60_000_000
    opened = served.open(Principal("viewer", "ada", TOKEN.scopes, credential, expires_us))
    await asyncio.sleep(59)
    assert opened.why == []
    assert await opened.ended(REVOKED_WITHIN_S + 1) == "the token has expired"


async def test_a_change_between_the_check_of_a_credential_and_the_opening_is_noticed(served: Served) -> None:
    served.set_credentials()
    await served.registry.announce("one")
    assert await served.open(DEVICE).ended(0.1) == "the credential was revoked"


async def test_what_nobody_can_tell_of_stays_open_and_is_asked_for_again(served: Served) -> None:
    async def away(ids: list[str]) -> None:
        raise Unavailable("nobody is there")

    opened = served.open(DEVICE), served.open(TOKEN)
    before, served.registry.before = served.registry.before, away
    served.set_credentials()
    served.registry.tokens.clear()
    await asyncio.sleep(60)
    assert [one.why for one in opened] == [[], []]
    served.registry.before = before
    for one in opened:
        await one.ended(REVOKED_WITHIN_S)


async def test_each_is_told_once_and_not_after_it_has_ended_by_itself(served: Served) -> None:
    told, ended = served.open(DEVICE), served.open(DEVICE)
    ended.end()
    ended.end()
    await served.registry.change("one", enabled=False)
    await told.ended(0.1)
    await asyncio.sleep(10 * CHECK_EVERY_S)
    told.end()
    assert (len(told.why), ended.why) == (1, [])


async def test_nothing_is_asked_while_nothing_is_open(served: Served) -> None:
    served.open(DEVICE).end()
    served.open(Principal("admin", "admin"))
    await asyncio.sleep(0.1)
    asked = len(served.registry.asked)
    await asyncio.sleep(10 * CHECK_EVERY_S)
    await served.registry.announce("somebody")
    assert len(served.registry.asked) == asked


async def test_many_are_asked_for_at_once_and_not_too_many(served: Served) -> None:
    ids = [f"d{number}" for number in range(PARTITIONS * (ASK_AT_ONCE + 500))]
    served.registry.register(*ids)
    opened = [served.open(Principal("device", id_, credential="c")) for id_ in ids]
    await asyncio.sleep(CHECK_EVERY_S + 1)
    served.registry.asked.clear()
    await asyncio.sleep(CHECK_EVERY_S)
    assert sorted(id_ for asked in served.registry.asked for id_ in asked) == sorted(ids)
    assert max(map(len, served.registry.asked)) <= ASK_AT_ONCE
    assert len(served.registry.asked) <= 2 * PARTITIONS
    assert not any(one.why for one in opened)
