"""Whether the server at the other end is the primary still.

One that stood still with its machine goes on as if nothing had been, until Patroni ends it: for some seconds it answers
with what was true before. What it cannot do is to commit, once its replicas follow another one. So a read counts only
where a commit that waits for a replica went through a moment ago.
"""

from __future__ import annotations

import math
import time

import asyncpg

CONFIRMED_S = 2.0
"""For how long a commit tells: what is read may be as old as that, where another server has just become the primary."""
_CONFIRM = """
select pg_logical_emit_message(true, 'iot-system', '') where current_setting('synchronous_standby_names') <> ''
"""
"""A transaction with nothing in it but a word in the log. Patroni replaces no server without replicas to wait for."""


class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """Remembers when it last confirmed that its server is the primary."""

    confirmed_s = -math.inf

    async def confirm(self, within_s: float) -> None:
        """Return when the server was the primary ``within_s`` ago or later.

        While replicas are away, this waits as commits do. With 0, all that was read before is at a replica, too.
        """
        now_s = time.monotonic()
        if now_s - self.confirmed_s < within_s:
            return
        await self.execute(_CONFIRM)
        self.confirmed_s = now_s
