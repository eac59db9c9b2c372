#!/usr/bin/python3
"""Becomes Patroni that also has a server copied anew which can follow the primary no more.

Patroni lets such a server wait for ever: one whose log contradicts the primary's (`standby` finds it where it starts,
but not where it ran before, or started while nobody led), and one that lacks what the primary has removed of its log.
"""

import logging
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import patroni.__main__ as program
import psutil
import psycopg2
from patroni.config import Config
from patroni.daemon import abstract_main
from patroni.dcs import Leader
from primary_log import SEGMENT, NoAnswerError, NotPrimaryError, answers, contradicts, give_up
from psycopg2.extensions import make_dsn

STILL_S = 60.0
"""A server gets no further for so long, and follows nobody, though the primary answers."""
STOPS_WITHIN_S = 10
logger = logging.getLogger("follower")


class Follower(program.Patroni):
    """Looks at its server after each cycle."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._data = Path(self.postgresql.data_dir)
        self._agrees_with: tuple[str, int | None] | None = None
        self._looked_s = time.monotonic()
        self._begin_anew()

    def schedule_next_run(self) -> None:
        """Called after each cycle, to wait for the next."""
        try:
            self._look()
        except Exception:  # whatever it is, Patroni goes on
            logger.exception("it is not known whether this server follows")
        super().schedule_next_run()

    def _look(self) -> None:
        now = time.monotonic()
        passed_s, self._looked_s = now - self._looked_s, now
        leader = self.ha.cluster.leader
        if self.ha._async_executor.busy:  # it starts, copies or rewinds
            return
        if not self._is_to_follow(leader):
            self._begin_anew()
            return
        access = self.postgresql.config.replication
        primary = make_dsn(**{k: v for k, v in leader.conn_kwargs(access).items() if v and k != "dbname"})
        try:
            if self._contradicts(leader, primary):
                self._copy_anew("contradicts the primary's log")
                return
        except (NoAnswerError, NotPrimaryError):
            self._begin_anew()
            return
        place = self._place()
        if place is None or place > self._reached or self._has_all() or not answers(primary):
            self._reached, self._still_s = place or 0, 0.0
        elif not self._receives():
            self._still_s += passed_s
            if self._still_s >= STILL_S:
                self._copy_anew(f"has followed nobody for {self._still_s:.0f} s, though the primary answers")

    def _begin_anew(self) -> None:
        self._reached, self._still_s = -1, 0.0

    def _is_to_follow(self, leader: Leader | None) -> bool:
        """Whether there is a primary, this server is another one, and has data."""
        return (
            leader is not None
            and leader.name != self.postgresql.name
            and leader.data.get("role") == "primary"
            and not self.ha.is_paused()
            and not self.postgresql.data_directory_empty()
        )

    def _contradicts(self, leader: Leader, primary: str) -> bool:
        """Asked once of each primary."""
        asked = (leader.name, leader.timeline)
        if asked == self._agrees_with:
            return False
        try:
            if contradicts(primary, self._data):
                return True
        except psycopg2.Error as error:
            logger.info("not compared with the primary's log: %s", error)
        self._agrees_with = asked
        return False

    def _receives(self) -> bool:
        return not self._is_silent() and self.postgresql.replication_state() == "streaming"

    def _has_all(self) -> bool:
        """Whether what it receives is applied: one that stands still begins to receive every few seconds, too."""
        return self._receives() and self.postgresql.received_location() <= self.postgresql.replayed_location()

    def _place(self) -> int | None:
        """How far it has come in the log, in bytes; None where that does not tell whether it gets on."""
        if not self._is_silent():
            return self.postgresql.replayed_location()
        if not (postmaster := self.postgresql.is_running()):
            return 0
        for process in postmaster.children():
            with suppress(psutil.NoSuchProcess):
                *_, does, what = ["", "", *" ".join(process.cmdline()).split()]
                if does == "recovering":  # a file of the log
                    return int(what[8:16], 16) << 32 | int(what[16:], 16) * SEGMENT
        return None

    def _is_silent(self) -> bool:
        """Whether it cannot be asked: it does not run, or is not consistent yet."""
        return not self.postgresql.is_running() or self.postgresql.is_starting()

    def _copy_anew(self, why: str) -> None:
        logger.warning("this server %s: what it has is given up and copied anew", why)
        if self.postgresql.stop("immediate", stop_timeout=STOPS_WITHIN_S):
            give_up(self._data)
        self._agrees_with = None
        self._begin_anew()


if __name__ == "__main__":
    program.patroni_main = partial(abstract_main, Follower)
    program.main()
