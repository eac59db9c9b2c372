"""Brute force is slowed down, and nobody else with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.errors import Overloaded
from iot_system.services.throttle import (
    ENTRIES_LIMIT,
    PER_ADDRESS,
    PER_CLIENT,
    PER_ID,
    Throttle,
    network_of,
)

ATTACKER, VICTIM, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
LONG_S = 100_000.0


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


RIGHT, WRONG = b"right", b"wrong"


class Guarded:
    """A throttle before one right token per id: ``try_`` tells whether a token was looked at."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.throttle = Throttle(self.clock)

    def try_(self, address: str, id_: str, *, right: bool = False) -> float:
        """Returns the wait in seconds that it was told, 0 where the token was looked at."""
        token = RIGHT if right else WRONG
        try:
            self.throttle.check(address, id_, token)
        except Overloaded as refusal:
            return refusal.after_s
        if right:
            self.throttle.succeeded(address, id_, token)
        else:
            self.throttle.failed(address, id_, token)
        return 0.0

    def attack(self, address: str, id_: str, times: int) -> int:
        """How many of so many wrong tokens, one right after another, were looked at."""
        return sum(self.try_(address, id_) == 0 for _ in range(times))


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def test_wrong_tokens_for_one_id_are_looked_at_so_often_and_not_more(guarded: Guarded) -> None:
    assert guarded.attack(ATTACKER, "one", 1000) == PER_ID.free + 1


def test_wrong_tokens_for_ever_other_ids_are_looked_at_so_often_and_not_more(guarded: Guarded) -> None:
    assert sum(guarded.try_(ATTACKER, f"d{number}") == 0 for number in range(1000)) == PER_ADDRESS.free + 1


def test_each_wrong_token_doubles_the_wait_up_to_its_limit(guarded: Guarded) -> None:
    guarded.attack(ATTACKER, "one", PER_ID.free)
    waits = []
    for _ in range(12):
        assert guarded.try_(ATTACKER, "one") == 0
        wait_s = guarded.try_(ATTACKER, "one")
        assert wait_s > 0
        waits.append(wait_s)
        guarded.clock.now_s += wait_s
    assert waits == [min(2.0**number, PER_ID.longest_s) for number in range(1, 13)]


def test_a_right_token_from_another_address_gets_in_while_its_id_is_attacked(guarded: Guarded) -> None:
    for number in range(200):
        guarded.attack(f"198.51.100.{number}", "one", 100)
    assert guarded.try_(VICTIM, "one", right=True) == 0


def test_an_id_that_many_addresses_attack_slows_all_that_have_failed(guarded: Guarded) -> None:
    addresses = [f"198.51.{net}.{host}" for net in range(4) for host in range(250)]
    looked_at = sum(guarded.attack(address, "one", 10) for address in addresses)
    assert looked_at <= len(addresses) + PER_ID.free + 1


def test_a_client_that_was_let_in_before_is_not_held_up_by_its_neighbours_failures(guarded: Guarded) -> None:
    assert guarded.try_(ATTACKER, "mine", right=True) == 0
    for number in range(1000):
        guarded.try_(ATTACKER, f"d{number}")
    assert guarded.try_(ATTACKER, "new", right=True) > 0
    assert guarded.try_(ATTACKER, "mine", right=True) == 0


def test_ones_own_right_token_does_not_clear_the_failures_at_others(guarded: Guarded) -> None:
    looked_at = 0
    for number in range(500):
        guarded.try_(ATTACKER, "mine", right=True)
        looked_at += guarded.try_(ATTACKER, f"d{number}") == 0
    assert looked_at == PER_ADDRESS.free + 1


def test_a_client_that_was_let_in_before_is_slowed_for_its_own_failures(guarded: Guarded) -> None:
    guarded.try_(VICTIM, "one", right=True)
    assert guarded.attack(VICTIM, "one", 1000) == PER_CLIENT.free + 1


def test_the_token_that_let_a_client_in_gets_through_whatever_a_neighbour_says_in_its_name(guarded: Guarded) -> None:
    assert guarded.try_(ATTACKER, "one", right=True) == 0
    assert guarded.attack(ATTACKER, "one", 1000) == PER_CLIENT.free + 1
    assert guarded.try_(ATTACKER, "one", right=True) == 0


def test_a_token_that_was_refused_is_held_up_as_any_other(guarded: Guarded) -> None:
    assert guarded.try_(ATTACKER, "one", right=True) == 0
    guarded.throttle.failed(ATTACKER, "one", RIGHT)  # it was revoked
    assert guarded.attack(ATTACKER, "one", 1000) == PER_CLIENT.free
    assert guarded.try_(ATTACKER, "one", right=True) > 0


def test_who_waits_long_enough_starts_afresh(guarded: Guarded) -> None:
    guarded.attack(ATTACKER, "one", 1000)
    guarded.clock.now_s += LONG_S
    assert guarded.attack(ATTACKER, "one", 1000) == PER_ID.free + 1


def test_memory_is_bounded_and_one_address_cannot_make_what_is_known_of_others_be_forgotten(guarded: Guarded) -> None:
    guarded.attack(ELSEWHERE, "one", 1000)
    for number in range(3 * ENTRIES_LIMIT):
        guarded.try_(ATTACKER, f"d{number}")
    assert guarded.try_(ELSEWHERE, "one") > 0
    for number in range(2 * ENTRIES_LIMIT):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        guarded.try_(address, f"d{number}")
        guarded.try_(address, f"good{number}", right=True)
    throttle = guarded.throttle
    tables = (throttle._addresses, throttle._ids, throttle._clients, throttle._let_in)
    assert [len(table) <= ENTRIES_LIMIT for table in tables] == [True] * len(tables)


def test_all_addresses_of_a_network_of_ipv6_are_one_client() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("fe80::1%eth0") != network_of("")


attempts = st.lists(
    st.tuples(
        st.sampled_from([ATTACKER, ELSEWHERE, "2001:db8::1"]),
        st.sampled_from(["one", "two"]),
        st.booleans(),
        st.floats(0, 120),
    ),
    max_size=300,
)


@given(attempts)
def test_whatever_others_did_an_address_without_failures_gets_in(history: list[tuple[str, str, bool, float]]) -> None:
    guarded = Guarded()
    for address, id_, right, pause_s in history:
        guarded.try_(address, id_, right=right)
        guarded.clock.now_s += pause_s
    assert guarded.try_(VICTIM, "one", right=True) == 0


@given(attempts)
def test_a_wait_is_never_longer_than_its_limit_and_is_over_when_it_said(
    history: list[tuple[str, str, bool, float]],
) -> None:
    guarded = Guarded()
    for address, id_, right, pause_s in history:
        wait_s = guarded.try_(address, id_, right=right)
        assert 0 <= wait_s <= max(PER_ADDRESS.longest_s, PER_ID.longest_s, PER_CLIENT.longest_s)
        if wait_s:
            guarded.clock.now_s += wait_s
            assert guarded.try_(address, id_, right=right) == 0
        guarded.clock.now_s += pause_s


@given(st.lists(st.floats(0, 400), min_size=1, max_size=20))
def test_in_the_long_run_wrong_tokens_are_looked_at_no_faster_than_failures_come_back(pauses: list[float]) -> None:
    guarded = Guarded()
    began_s = guarded.clock.now_s
    looked_at = 0
    for pause_s in pauses * 100:
        looked_at += guarded.try_(ATTACKER, "one") == 0
        guarded.clock.now_s += pause_s
    took_s = guarded.clock.now_s - began_s
    doublings = 9  # 2 s to 300 s
    assert looked_at <= PER_ID.free + 1 + doublings + took_s / PER_ID.regain_s
