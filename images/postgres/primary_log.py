"""Whether what a server has contradicts the primary's log.

Servers know a timeline by its number alone, and one number can stand for two: a server is primary for a moment and is
lost before anybody follows it, and its successor, which never heard of that, begins a timeline of the same number.
Patroni then sees nothing to rewind (its issue 1251), and the first server, once it is back, waits for a log that fits
and never comes; or one fits by chance, and it follows with pages that nobody else has.

What tells the two apart is what stands in them: the record of a checkpoint bears its time. A server has that of its
last one in its control file, which stays as it is when the primary's log is written over its own.
"""

import select
import shutil
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extras import REPLICATION_PHYSICAL, PhysicalReplicationConnection

ENDS = "57"
"""Errors with such codes of Postgres say that a person, or a crash, ends the connection."""
WITHIN_S = 2.0
"""For all that the primary is asked: one that stands still must not keep this server back."""
CONTROL = Path("global", "pg_control")
"""The control file, within a server's folder."""
IDENTITY, PLACE, CHECKPOINT = struct.Struct("<Q"), struct.Struct("<32xQ"), struct.Struct("<QII48xq")
"""In the control file of Postgres 17: of the database; of the last checkpoint's record; and of the checkpoint where it
begins, its timeline and the one before, and its time. What else it has, a standby may change in its own copy."""
COPY = 40
"""Where in the control file the checkpoint stands."""
RECORD, CONTENT = 114, 88
"""Bytes of a checkpoint's record, and of the checkpoint, which stands last in it."""
PAGE, SEGMENT = 8192, 16 * 2**20
PAGE_HEADER, SEGMENT_HEADER = 24, 40
"""Bytes that stand where a page of the log begins, or one of its files, also in the middle of a record."""


class NoAnswerError(Exception):
    """The primary does not answer, or another database does, whose address it is now."""


class NotPrimaryError(Exception):
    """Who is to be followed follows somebody itself until now."""


def contradicts(primary: str, data: Path) -> bool:
    """Whether the primary certainly has another record at the place of the last checkpoint in this folder.

    Raises NoAnswerError, NotPrimaryError, and psycopg2.Error where the primary has that part of its log no more.
    """
    control = read(data / CONTROL)
    (place,) = PLACE.unpack_from(control)
    _, timeline, *_ = checkpoint = CHECKPOINT.unpack_from(control, COPY)
    wanted = RECORD + header(place)
    with asked(primary, control) as (stream, current, end):
        if current == timeline and end < place + wanted:
            return True  # nobody has from it what it does not have
        record = whole(place, stream.read(timeline, place, wanted))
        return CHECKPOINT.unpack_from(record, RECORD - CONTENT) != checkpoint


def given_up(data: Path) -> Path:
    """Where what a server gives up is until it is removed."""
    return data.with_name(f"{data.name}.given-up")


def give_up(data: Path) -> None:
    """Remove a server's folder, at once or not at all: half of one must never start. Patroni copies the primary's."""
    aside = given_up(data)
    shutil.rmtree(aside, ignore_errors=True)  # of a time before that was cut off
    data.rename(aside)
    shutil.rmtree(aside)


class Stream:
    """The primary's log, as a replica asks for it. All of it raises NoAnswerError, also after WITHIN_S."""

    def __init__(self, primary: str) -> None:
        self._until_s = time.monotonic() + WITHIN_S
        with answering():
            self._connection = psycopg2.connect(primary, connection_factory=PhysicalReplicationConnection, async_=1)
            self._wait()
        self._cursor = self._connection.cursor()

    def ask(self, question: str) -> tuple[object, ...]:
        """The only row of the answer."""
        with answering():
            self._cursor.execute(question)
            self._wait()
            return self._cursor.fetchone()

    def read(self, timeline: int, place: int, wanted: int) -> bytes:
        """So many bytes that stand at this place of a timeline; psycopg2.Error where they do not."""
        found = b""
        with answering():
            self._cursor.start_replication(slot_type=REPLICATION_PHYSICAL, start_lsn=place, timeline=timeline)
            self._wait()
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
            raise NoAnswerError(f"no answer within {WITHIN_S:g} s")


@contextmanager
def answering() -> Iterator[None]:
    """A connection that ends, or a server that does, is no answer."""
    try:
        yield
    except psycopg2.Error as error:
        if error.pgcode is None or error.pgcode.startswith(ENDS):
            raise NoAnswerError(error) from None
        raise


@contextmanager
def asked(primary: str, control: bytes) -> Iterator[tuple[Stream, int, int]]:
    """The log of the primary, for a server with this control file; its timeline, and the place where it ends.

    Raises NoAnswerError, and NotPrimaryError.
    """
    with closing(Stream(primary)) as stream:
        if stream.ask("SHOW in_hot_standby") == ("on",):
            raise NotPrimaryError
        identity, timeline, end, _ = stream.ask("IDENTIFY_SYSTEM")
        if (int(identity),) != IDENTITY.unpack_from(control):
            raise NoAnswerError("it is another database's address now")
        yield stream, timeline, number(end)


def read(file: Path) -> bytes:
    """All of a small file that the server may write anew meanwhile."""
    found = b""
    while (again := file.read_bytes()) != found:
        found = again
    return found


def header(place: int) -> int:
    """Bytes in the middle of a record at this place that are none of its own."""
    begins = place - place % PAGE + PAGE
    if place + RECORD <= begins:
        return 0
    return PAGE_HEADER if begins % SEGMENT else SEGMENT_HEADER


def whole(place: int, found: bytes) -> bytes:
    """The record that stands there, without such a header."""
    before = PAGE - place % PAGE
    return found[:before] + found[before + header(place) :]


def number(place: str) -> int:
    """Of a place in the log as Postgres writes it: 0/1352BC58."""
    high, low = place.split("/")
    return int(high, 16) << 32 | int(low, 16)
