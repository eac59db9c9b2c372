"""Brute force slowed down: who gives wrong tokens must wait, longer each time. Pure, and bounded in memory.

Failures are counted per client address and per claimed id (a device's, a token's), each with some free ones that come
back with time. Beyond them an address waits, whatever it claims; and an id that is attacked from many addresses slows
those that have failed before. So an address without failures is never held up, and a right token gets through from
there whatever happens elsewhere. Nor can a neighbour behind the same address lock out a client that was let in before:
the very token that let it in is never held up, until it is refused.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

import msgspec

from iot_system.errors import Overloaded

ENTRIES_LIMIT = 10_000
"""Entries of each of the four tables; the oldest goes."""
_IPV6_NETWORK = 64
"""What one client of IPv6 has: it takes as many addresses in it as it likes."""


class Allowance(msgspec.Struct, frozen=True):
    """``free`` failures at once, one more each ``regain_s``; each beyond them doubles the wait, up to ``longest_s``."""

    free: int
    regain_s: float
    longest_s: float


PER_ADDRESS = Allowance(free=50, regain_s=5.0, longest_s=60.0)
"""Many clients may share one address (NAT, a proxy)."""
PER_ID = Allowance(free=10, regain_s=30.0, longest_s=300.0)
PER_CLIENT = Allowance(free=10, regain_s=30.0, longest_s=300.0)
"""A client that was let in before, by id and address."""


_REMEMBERED_S = PER_ID.longest_s
"""So long an address counts as one that has failed, for ids that are attacked."""


class Throttle:
    """Ask `check` before a token is looked at, tell `failed` or `succeeded` afterwards."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._addresses = _Counts(PER_ADDRESS)
        self._ids = _Counts(PER_ID)
        self._clients = _Counts(PER_CLIENT)
        self._let_in: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        """The hash of the token by which an id was let in from a network; empty once it was refused."""

    def check(self, address: str, id_: str, sha256: bytes) -> None:
        """Raises `Overloaded`, with the time to wait, where this address may not try this id with this token now."""
        now_s = self._monotonic_s()
        network = network_of(address)
        let_in = self._let_in.get((network, id_))
        if let_in is not None and hmac.compare_digest(let_in, sha256):
            return
        if let_in is not None:
            wait_s = self._clients.wait_s((network, id_), now_s)
        else:
            wait_s = self._addresses.wait_s(network, now_s)
            if self._addresses.has_failed(network, now_s):
                wait_s = max(wait_s, self._ids.wait_s(id_, now_s))
        if wait_s > 0:
            raise Overloaded("too many wrong tokens: wait before the next", after_s=wait_s)

    def failed(self, address: str, id_: str, sha256: bytes) -> None:
        """The token was wrong."""
        now_s = self._monotonic_s()
        network = network_of(address)
        self._ids.add(id_, now_s)
        if (let_in := self._let_in.get((network, id_))) is not None:
            self._clients.add((network, id_), now_s)
            if hmac.compare_digest(let_in, sha256):
                self._let_in[network, id_] = b""
        else:
            self._addresses.add(network, now_s)

    def succeeded(self, address: str, id_: str, sha256: bytes) -> None:
        """The token was right. What others failed at stays counted: a right token of one's own must not clear it."""
        client = (network_of(address), id_)
        self._clients.forget(client)
        self._let_in[client] = sha256
        self._let_in.move_to_end(client)
        if len(self._let_in) > ENTRIES_LIMIT:
            self._let_in.popitem(last=False)


class _Count(msgspec.Struct):
    """``failures`` as they were at ``at_s``, from which on they fade. No further try before ``until_s``."""

    failures: float = 0.0
    at_s: float = 0.0
    until_s: float = 0.0


class _Counts:
    """Failures by key. The key that failed longest ago is forgotten when there are too many."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._counts: OrderedDict[object, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def wait_s(self, key: object, now_s: float) -> float:
        count = self._counts.get(key)
        return count.until_s - now_s if count else 0.0

    def has_failed(self, key: object, now_s: float) -> bool:
        count = self._counts.get(key)
        return count is not None and now_s < count.at_s + _REMEMBERED_S

    def add(self, key: object, now_s: float) -> None:
        count = self._counts.setdefault(key, _Count())
        self._counts.move_to_end(key)
        count.failures, count.at_s = self._left(count, now_s) + 1, now_s
        beyond = count.failures - self._allowance.free
        if beyond > 0:
            # A wait makes nothing good, only time after it does: else failures would fade as fast as waits grow.
            count.at_s = count.until_s = now_s + min(2.0 ** min(beyond, 32.0), self._allowance.longest_s)
        if len(self._counts) > ENTRIES_LIMIT:
            self._counts.popitem(last=False)

    def forget(self, key: object) -> None:
        self._counts.pop(key, None)

    def _left(self, count: _Count, now_s: float) -> float:
        return max(0.0, count.failures - max(0.0, now_s - count.at_s) / self._allowance.regain_s)


@lru_cache(maxsize=ENTRIES_LIMIT)
def network_of(address: str) -> str:
    """The address itself, or its network where that is one client's (IPv6)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # not from a socket of the internet
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
