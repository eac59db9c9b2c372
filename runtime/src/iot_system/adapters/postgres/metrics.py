"""Keys of metrics: given once, kept for ever, so that they can be remembered."""

from __future__ import annotations

from iot_system.adapters.postgres.database import Database

REMEMBERED = 100_000


class Metrics:
    """Name → key."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, int] = {}

    def forget(self) -> None:
        """Look again: the database may have been another one."""
        self._keys.clear()

    async def keys(self, names: set[str]) -> dict[str, int]:
        """Keys of all ``names``; new names get one."""
        found = {name: key for name in names if (key := self._keys.get(name)) is not None}
        if missing := names - found.keys():
            found |= await self._make(sorted(missing))
            if len(self._keys) > REMEMBERED:
                self._keys.clear()
            self._keys |= found
        return found

    async def _make(self, names: list[str]) -> dict[str, int]:
        # Committed by itself, before the readings: two partitions that meet a new name never wait for each other.
        async with self._database.session() as session:
            find = "select name, key from metrics where name = any($1)"
            found = dict(await session.fetch(find, names))
            if new := [name for name in names if name not in found]:
                await session.execute(
                    "insert into metrics (name) select unnest($1::text[]) on conflict do nothing", new
                )
                found |= dict(await session.fetch(find, new))
            return found
