"""How many sessions an owner keeps: else one device could take the room of all others' sessions."""

from __future__ import annotations

from collections.abc import Iterable

from iot_system.errors import Overloaded
from iot_system.ports.broker import Found, owner_key


class Quota:
    """Counts sessions that outlive their connections, of all processes at each sweep, and here since then.

    So with several processes an owner may have more for a while: ``limit`` for each of them at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[str, set[str]] = {}
        """Session keys by owner."""
        self._new: dict[str, set[str]] = {}
        """Those of them that were begun here since the last sweep began."""

    def check(self, owner: str) -> None:
        """Raises `Overloaded` where ``owner`` may not keep another session."""
        count = len(self._kept.get(owner_key(owner), ()))
        if count >= self._limit:
            raise Overloaded(f"{count} sessions are kept for you; the limit is {self._limit}: end some of them")

    def begun(self, owner: str, key: str) -> None:
        """A session that was not kept before is from now on."""
        for kept in (self._kept, self._new):
            kept.setdefault(owner_key(owner), set()).add(key)

    def ended(self, owner: str, key: str) -> None:
        """A session is over, whether it was kept or not."""
        for kept in (self._kept, self._new):
            kept.get(owner_key(owner), set()).discard(key)

    def sweep(self) -> None:
        """All records will be read now."""
        self._new = {}

    def swept(self, found: Iterable[Found]) -> None:
        """All records were read since `sweep`."""
        self._kept = {owner: set(keys) for owner, keys in self._new.items()}
        for one in found:
            if one.owner:
                self._kept.setdefault(one.owner, set()).add(one.key)
