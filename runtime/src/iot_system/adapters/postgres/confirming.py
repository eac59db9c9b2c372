"""Whether the server at the other end is the primary still.

One that stood still with its machine goes on as if nothing had been, until it is told that there is another: for some
seconds it answers with what was true before. What it cannot do is to commit, for its replicas follow another one. So a
read counts only where a commit that waits for a replica went through a moment ago.
"""

from __future__ import annotations

import time

import asyncpg

CONFIRMED_S = 2.0
"""For how long a commit tells. No other server becomes the primary within that: its predecessor's lease is longer."""
_CONFIRM = """
select pg_logical_emit_message(true, 'iot-system', '') where current_setting('synchronous_standby_names') <> ''
"""
"""A transaction with nothing in it but a word in the log. A server without replicas to wait for is replaced by none."""


class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """Remembers when that was."""

    confirmed_s = -CONFIRMED_S

    async def confirm(self) -> None:
        """Return when the server is known to be the primary. While replicas are away, this waits as commits do."""
        now_s = time.monotonic()
        if now_s - self.confirmed_s < CONFIRMED_S:
            return
        try:
            await self.execute(_CONFIRM)
        except asyncpg.DiskFullError:
            return  # reads work all the same; who commits says why that does not
        self.confirmed_s = now_s
