"""Whose token it is, that a changed one is noticed in time, and that wrong ones are slowed down."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import msgspec
import pytest
from chart_harness.waiting import until
from iot_system.domain.access import Principal, Role, Scope
from iot_system.domain.registry import ApiToken
from iot_system.errors import Forbidden, Overloaded, Unauthenticated, Unavailable
from iot_system.services.administration import ANNOUNCED
from iot_system.services.api_tokens import KNOWN_FOR_S, ApiTokens
from iot_system.services.asking import Asking
from iot_system.services.authentication import Authenticator
from iot_system.services.directory import RECENT_S, Directory
from iot_system.services.throttle import PER_ADDRESS, PER_ID, Throttle

from tests.unit.services.answering import PARTITIONS, Gate, Registry, token_of
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.simulated_loop import SimulatedClock

ADMIN_TOKEN = "the.admin.token"
ID = "0123456789abcdef"
SECRET = "s" * 43
API_TOKEN = f"api.{ID}.{SECRET}"
JWT = "eyJhbGciOiJFZERTQSJ9.e30.c2ln"
LAB = (Scope("room", "lab"),)
DEADLINE_S = 60.0
REVOKED_WITHIN_S = 5.0


class Issuer:
    """Implements `iot_system.ports.jwt.JwtVerifier` for one token."""

    async def principal(self, token: str) -> Principal:
        if token != JWT:
            raise Unauthenticated("the token is not valid")
        return Principal("viewer", "ada@example.org")


class Served:
    """An authenticator before a registry in memory, which has the device ``one``."""

    def __init__(self, *, admin_token: str | Callable[[], str] | None = ADMIN_TOKEN, jwt: bool = True) -> None:
        board = Switchboard()
        self.registry = Registry(board)
        self.registry.register("one")
        self.clock = SimulatedClock()
        self._requests = MemoryRequests(board)
        asking = Asking(self._requests, PARTITIONS)
        self._directory = Directory(asking, self.clock)
        self._tokens = ApiTokens(asking, self.clock)
        self.authenticate = Authenticator(
            self._directory,
            self._tokens,
            Throttle(self.clock.monotonic_s),
            self.clock,
            admin_token=admin_token,
            jwt=Issuer() if jwt else None,
        ).authenticate

    async def start(self) -> Served:
        await self.registry.start()
        await self._requests.on_announcement(self._directory.forget)
        await self._requests.on_announcement(lambda changed: self._tokens.forget(changed.removeprefix(ANNOUNCED)))
        return self

    def issue(self, *, role: Role = "operator", scopes: tuple[Scope, ...] = (), expires_us: int | None = None) -> None:
        """Make `API_TOKEN` valid."""
        self.registry.tokens[ID] = ApiToken(
            id=ID,
            name="dashboard",
            role=role,
            scopes=scopes,
            sha256=hashlib.sha256(API_TOKEN.encode()).digest(),
            created_us=0,
            expires_us=expires_us,
        )

    async def is_let_in(self, token: str, *, device: str | None = None, client: str = "192.0.2.1") -> bool:
        """False where the token is wrong, or was not looked at."""
        try:
            await self.authenticate(token, device=device, client=client)
        except (Unauthenticated, Overloaded):
            return False
        return True


@pytest.fixture
async def served() -> Served:
    return await Served().start()


async def test_each_kind_of_token_says_who_bears_it(served: Served) -> None:
    served.issue(scopes=LAB)
    assert await served.authenticate(ADMIN_TOKEN) == Principal("admin", "admin")
    assert await served.authenticate(token_of("one")) == Principal("device", "one", credential="c")
    assert await served.authenticate(token_of("one"), device="one") == Principal("device", "one", credential="c")
    assert await served.authenticate(API_TOKEN) == Principal("operator", f"api.{ID}", LAB, ID)
    assert await served.authenticate(JWT) == Principal("viewer", "ada@example.org")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "one",
        "one.",
        "one.wrong",
        ".secret-of-one",
        "two.secret-of-one",
        "the.admin.toke",
        f"api.{ID}.",
        "\x00",
    ],
)
async def test_a_wrong_token_is_not_valid(served: Served, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await served.authenticate(token)


async def test_a_device_is_nobody_elses_name(served: Served) -> None:
    served.registry.register("two")
    served.issue()
    for token in (token_of("two"), ADMIN_TOKEN, API_TOKEN, JWT):
        with pytest.raises(Unauthenticated):
            await served.authenticate(token, device="one")


async def test_without_an_administrators_token_none_is_his() -> None:
    served = await Served(admin_token=None).start()
    for token in ("", "admin", "None"):
        with pytest.raises(Unauthenticated):
            await served.authenticate(token)


async def test_an_administrators_token_that_is_exchanged_meanwhile_counts_at_once() -> None:
    tokens = ["first"]
    served = await Served(admin_token=lambda: tokens[-1]).start()
    assert (await served.authenticate("first")).role == "admin"
    tokens.append("second")
    assert (await served.authenticate("second")).role == "admin"
    with pytest.raises(Unauthenticated):
        await served.authenticate("first")


async def test_without_an_identity_provider_no_signed_token_is_valid() -> None:
    served = await Served(jwt=False).start()
    with pytest.raises(Unauthenticated):
        await served.authenticate(JWT)


async def test_another_secret_of_an_api_token_that_exists_is_not_valid(served: Served) -> None:
    served.issue()
    with pytest.raises(Unauthenticated):
        await served.authenticate(f"api.{ID}.{'t' * 43}")


async def test_an_api_token_ends_when_it_expires(served: Served) -> None:
    served.issue(expires_us=served.clock.now_us() + 10_000_000)
    assert (await served.authenticate(API_TOKEN)).expires_us is not None
    await asyncio.sleep(11)
    with pytest.raises(Unauthenticated, match="expired"):
        await served.authenticate(API_TOKEN)


async def test_an_api_token_is_not_asked_for_with_each_request(served: Served) -> None:
    served.issue()
    for _ in range(100):
        await served.authenticate(API_TOKEN)
    assert served.registry.asked == [[ID]]


async def test_a_revoked_api_token_ends_at_once_where_its_announcement_arrives(served: Served) -> None:
    served.issue()
    await served.authenticate(API_TOKEN)
    del served.registry.tokens[ID]
    await served.registry.announce(ANNOUNCED + ID)
    with pytest.raises(Unauthenticated):
        await served.authenticate(API_TOKEN)


async def test_a_token_that_changes_while_it_is_looked_up_is_not_remembered_as_it_was(served: Served) -> None:
    served.issue()
    served.registry.after = gate = Gate()
    waiting = asyncio.create_task(served.authenticate(API_TOKEN))
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    del served.registry.tokens[ID]
    await served.registry.announce(ANNOUNCED + ID)
    gate.opened.set()
    await waiting
    with pytest.raises(Unauthenticated):
        await served.authenticate(API_TOKEN)


@pytest.mark.parametrize("kind", ["device", "api"])
async def test_what_is_revoked_ends_within_five_seconds_although_nobody_told(served: Served, kind: str) -> None:
    served.issue()
    token = API_TOKEN if kind == "api" else token_of("one")
    await served.authenticate(token)
    served.registry.tokens.clear()
    served.registry.devices["one"] = msgspec.structs.replace(served.registry.devices["one"], credentials=())
    assert max(KNOWN_FOR_S, RECENT_S) < REVOKED_WITHIN_S
    await asyncio.sleep(REVOKED_WITHIN_S)
    with pytest.raises(Unauthenticated):
        await served.authenticate(token)


async def test_a_disabled_device_is_told_so_and_that_is_no_wrong_token(served: Served) -> None:
    served.registry.register("off", enabled=False)
    for _ in range(PER_ADDRESS.free + PER_ID.free):
        with pytest.raises(Forbidden, match="'off' is disabled"):
            await served.authenticate(token_of("off"))
    with pytest.raises(Unauthenticated):  # whoever does not have its token is not told
        await served.authenticate("off.wrong")


async def test_where_nobody_can_tell_it_is_not_counted_as_a_wrong_token(served: Served) -> None:
    async def away(ids: list[str]) -> None:
        raise Unavailable("nobody is there")

    served.registry.before = away
    for _ in range(PER_ADDRESS.free + PER_ID.free):
        with pytest.raises(Unavailable):
            await served.authenticate(token_of("one"))
    served.registry.before = Gate()
    served.registry.before.opened.set()
    assert await served.is_let_in(token_of("one"))


@pytest.mark.parametrize("wrong", ["one.wrong", f"api.{ID}.{'t' * 43}", f"{JWT}x", "guess"])
async def test_wrong_tokens_are_slowed_down_whatever_their_kind(served: Served, wrong: str) -> None:
    for _ in range(PER_ID.free + 1):
        with pytest.raises(Unauthenticated):
            await served.authenticate(wrong, client="192.0.2.9")
    with pytest.raises(Overloaded, match="too many wrong tokens") as slowed:
        await served.authenticate(wrong, client="192.0.2.9")
    assert 0 < slowed.value.after_s <= PER_ID.longest_s


async def test_whoever_attacks_a_device_does_not_lock_it_out(served: Served) -> None:
    served.issue()
    for number in range(300):
        await served.is_let_in("one.wrong", client=f"198.51.100.{number % 250}")
        await served.is_let_in(f"api.{ID}.{'t' * 43}", client=f"198.51.100.{number % 250}")
        await served.is_let_in("guess", client=f"198.51.100.{number % 250}")
    for token in (token_of("one"), API_TOKEN, ADMIN_TOKEN, JWT):
        assert await served.is_let_in(token, client="192.0.2.1")


async def test_many_wrong_tokens_at_once_that_wait_for_one_look_up_are_slowed_too(served: Served) -> None:
    served.registry.before = gate = Gate()
    attempts = [asyncio.create_task(served.authenticate("one.wrong", client="192.0.2.9")) for _ in range(500)]
    await until(lambda: gate.waiting, within_s=DEADLINE_S)
    gate.opened.set()
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, Unauthenticated) for result in results) == PER_ID.free + 1
    assert sum(isinstance(result, Overloaded) for result in results) == 500 - PER_ID.free - 1
