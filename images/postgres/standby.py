#!/usr/bin/python3
"""Becomes Postgres with the given arguments, unless it is to follow a primary whose log contradicts its own.

Servers know a timeline by its number alone, and one number can stand for two: a server is primary for a moment and is
lost before anybody follows it, and its successor, which never heard of that, begins a timeline of the same number.
Patroni then sees nothing to rewind (its issue 1251), and the first server, once it is back, waits for a log that fits
and never comes; or one fits by chance, and it follows with pages that nobody else has.

What tells the two apart is what stands in them: the record of a checkpoint bears its time and a checksum. Where the
primary has another one at the place of this server's last checkpoint, this server's data is given up, as by a rewind,
and Patroni copies the primary's.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extras import REPLICATION_PHYSICAL, PhysicalReplicationConnection

POSTGRES, CONTROL = "/usr/lib/postgresql/17/bin/postgres", "/usr/lib/postgresql/17/bin/pg_controldata"
WITHIN_S = 2.0
"""For all that the primary is asked: one that stands still must not keep this server back."""
RECORD = 114
"""Bytes of a checkpoint's record in Postgres 17."""


class NotPrimaryError(Exception):
    """Who is to be followed follows somebody itself until now."""


def main() -> None:
    """Raises SystemExit where Patroni is to go on instead: the data is gone, or the primary is not one yet."""
    data = Path(os.environ["PGDATA"])
    starts = "-D" in sys.argv and not {"-C", "--single"} & set(sys.argv)  # no question for a setting
    # What was copied just now, all of it or by a rewind, has a label, and no log of its own.
    if starts and (data / "standby.signal").exists() and not (data / "backup_label").exists():
        primary = output(POSTGRES, *sys.argv[1:], "-C", "primary_conninfo").strip()
        try:
            is_other = bool(primary) and contradicts(primary, data)
        except NotPrimaryError:
            sys.exit("who is to be followed is not the primary yet")
        except psycopg2.Error as error:
            sys.stderr.write(f"not compared with the primary's log: {error}\n")
            is_other = False
        if is_other:
            given_up = Path(f"{data}.given-up")
            shutil.rmtree(given_up, ignore_errors=True)  # of a time before that was cut off
            data.rename(given_up)  # at once, or not at all
            shutil.rmtree(given_up)
            sys.exit("what is here contradicts the primary's log: it is given up and copied anew")
    os.execv(POSTGRES, [POSTGRES, *sys.argv[1:]])  # noqa: S606 - Patroni knows it by its process


def contradicts(primary: str, data: Path) -> bool:
    """Whether the primary certainly has another record there.

    Raises psycopg2.Error where it does not say, NotPrimaryError where it is none yet.
    """
    lines = output(CONTROL, str(data)).splitlines()
    control = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    timeline, place = int(control["Latest checkpoint's TimeLineID"]), number(control["Latest checkpoint location"])
    with closing(Stream(primary)) as stream:
        if stream.ask("SHOW in_hot_standby") == ("on",):
            raise NotPrimaryError
        identity, current, end, _ = stream.ask("IDENTIFY_SYSTEM")
        if identity != control["Database system identifier"]:
            return False  # an address that is another one's now; Postgres refuses to follow it
        if current == timeline and number(end) < place + RECORD:
            return True  # nobody has from it what it does not have
        own = record(data / "pg_wal", timeline, place, int(control["Bytes per WAL segment"]))
        return stream.read(timeline, place, len(own)) != own


class Stream:
    """The primary's log, as a replica asks for it. All of it raises psycopg2.Error, also after WITHIN_S."""

    def __init__(self, primary: str) -> None:
        self._until_s = time.monotonic() + WITHIN_S
        self._connection = psycopg2.connect(primary, connection_factory=PhysicalReplicationConnection, async_=1)
        self._wait()
        self._cursor = self._connection.cursor()

    def ask(self, question: str) -> tuple[object, ...]:
        """The only row of the answer."""
        self._cursor.execute(question)
        self._wait()
        return self._cursor.fetchone()

    def read(self, timeline: int, place: int, wanted: int) -> bytes:
        """So many bytes that stand at this place of a timeline."""
        self._cursor.start_replication(slot_type=REPLICATION_PHYSICAL, start_lsn=place, timeline=timeline)
        self._wait()
        found = b""
        while len(found) < wanted:
            if message := self._cursor.read_message():
                found += message.payload
            else:
                self._ready([self._connection], [])
        return found[:wanted]

    def close(self) -> None:
        self._connection.close()

    def _wait(self) -> None:
        while (state := self._connection.poll()) != POLL_OK:
            self._ready(*(([self._connection], []) if state == POLL_READ else ([], [self._connection])))

    def _ready(self, reads: list[object], writes: list[object]) -> None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0 or not any(select.select(reads, writes, [], left_s)):
            raise psycopg2.OperationalError(f"no answer within {WITHIN_S:g} s")


def record(log: Path, timeline: int, place: int, size: int) -> bytes:
    """What stands there in this server's own log, whose files are of this size; nothing where the file is gone."""
    high, low = divmod(place // size, 2**32 // size)
    segment = log / f"{timeline:08X}{high:08X}{low:08X}"
    if not segment.exists():
        return b""
    with segment.open("rb") as file:
        file.seek(place % size)
        return file.read(RECORD)


def output(*command: str) -> str:
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, env=environment).stdout  # noqa: S603


def number(place: str) -> int:
    """Of a place in the log as Postgres writes it: 0/1352BC58."""
    high, low = place.split("/")
    return int(high, 16) << 32 | int(low, 16)


main()
