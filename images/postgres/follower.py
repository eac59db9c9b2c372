#!/usr/bin/python3
"""Becomes Patroni that also has a server copied anew which can follow the primary no more.

Patroni lets such a server wait for ever: one whose log contradicts the primary's (`standby` finds it where it starts,
but not where it ran before, or started while nobody led), and one that lacks what the primary has removed of its log.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import patroni.__main__ as program
import psutil
import psycopg2
from patroni.config import Config
from patroni.daemon import abstract_main
from patroni.dcs import Leader
from primary_log import CONTROL, SEGMENT, NoAnswerError, NotPrimaryError, asked, contradicts, give_up, read
from psycopg2.extensions import make_dsn
from standstill import Standstill

STILL_S, SILENT_S = 60.0, 600.0
"""A server gets no further for so long, and follows nobody, though the primary answers; and one that cannot be asked,
since it is not consistent yet: how far it has come is known by files of 16 MiB then."""
STOPS_WITHIN_S = 10
logger = logging.getLogger("follower")


class Follower(program.Patroni):
    """Looks at its server after each cycle."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._data = Path(self.postgresql.data_dir)
        self._agrees_with: tuple[str, int | None] | None = None
        self._standstill = Standstill()
        self._looked_s = time.monotonic()

    def schedule_next_run(self) -> None:
        """Look, then wait for the next cycle."""
        try:
            self._look()
        except Exception:  # whatever it is, Patroni goes on
            logger.exception("it is not known whether this server follows")
        super().schedule_next_run()

    def _look(self) -> None:
        now = time.monotonic()
        # Neither a cycle that hung nor a server that was frozen has stood still by itself.
        passed_s = min(now - self._looked_s, 2 * self.dcs.loop_wait)
        self._looked_s = now
        if self.ha._async_executor.busy:  # it starts, copies or rewinds
            return
        leader = self.dcs.cluster and self.dcs.cluster.leader  # nobody while Kubernetes does not answer
        if not self._is_to_follow(leader):
            self._standstill.end()
            return
        access = self.postgresql.config.replication
        primary = make_dsn(**{k: v for k, v in leader.conn_kwargs(access).items() if v and k != "dbname"})
        try:
            why = self._contradicts(leader, primary) or self._stands_still(primary, passed_s)
        except (NoAnswerError, NotPrimaryError):
            return
        if why:
            self.ha._async_executor.try_run_async("giving up what is here", self._give_up, (why,))

    def _is_to_follow(self, leader: Leader | None) -> bool:
        """Whether there is a primary, this server is another one, and runs."""
        return bool(
            leader
            and leader.name != self.postgresql.name
            and leader.data.get("role") == "primary"
            and not self.ha.is_paused()
            and self.postgresql.is_running()
        )

    def _contradicts(self, leader: Leader, primary: str) -> str:
        """Why not to go on, asked once for each time of a primary. Raises as `asked`."""
        asked = (leader.name, leader.timeline)
        if asked == self._agrees_with:
            return ""
        try:
            if contradicts(primary, self._data):
                return "contradicts the primary's log"
        except psycopg2.Error as error:
            logger.info("not compared with the primary's log: %s", error)
        self._agrees_with = asked
        self._standstill.end()  # another primary may have what the one before had not
        return ""

    def _stands_still(self, primary: str, passed_s: float) -> str:
        """Why not to go on. Raises as `asked`."""
        place, receives = self._place(), self._receives()
        if place is None or (receives and self._has_all()):
            self._standstill.end()
        else:
            with asked(primary, read(self._data / CONTROL)):  # only while it answers
                self._standstill.look(place, passed_s, receives=receives)
        still_s = self._standstill.lasts_s
        if still_s < (SILENT_S if self.postgresql.is_starting() else STILL_S):
            return ""
        return f"has followed nobody for {still_s:.0f} s, though the primary answers"

    def _place(self) -> int | None:
        """How far it has come in the log, in bytes; None where that is not known."""
        if not self.postgresql.is_starting():
            return self.postgresql.replayed_location()
        for words in self._titles():
            if words[-2:-1] in (["recovering"], ["for"]):  # a file of the log, or waits for it
                return int(words[-1][8:16], 16) << 32 | int(words[-1][16:], 16) * SEGMENT
        return None

    def _receives(self) -> bool:
        if not self.postgresql.is_starting():
            return self.postgresql.replication_state() == "streaming"
        return any("walreceiver" in words for words in self._titles())

    def _has_all(self) -> bool:
        """Whether what it has received is applied."""
        if self.postgresql.is_starting():
            return False
        return self.postgresql.received_location() <= self.postgresql.replayed_location()

    def _titles(self) -> Iterator[list[str]]:
        """Of the processes of Postgres, which say what they do."""
        for process in self.postgresql.is_running().children():
            with suppress(psutil.NoSuchProcess):
                yield " ".join(process.cmdline()).split()

    def _give_up(self, why: str) -> None:
        logger.warning("this server %s: what it has is given up and copied anew", why)
        self._agrees_with = None
        self._standstill.end()
        if self.postgresql.stop("immediate", stop_timeout=STOPS_WITHIN_S):
            give_up(self._data)
        else:
            logger.warning("it is not given up: Postgres has not stopped")


if __name__ == "__main__":
    program.patroni_main = partial(abstract_main, Follower)
    program.main()
