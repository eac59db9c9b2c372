"""The broker of applications' topics: a log of messages, the retained ones, and the records of sessions.

The log is every session's queue: a session's record holds a position in it, and what was sent and not acknowledged by
its sequence. So any process can go on from any record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from types import TracebackType
from typing import Protocol, Self

import msgspec

from iot_system.errors import IotError

INTERFACE = "v1"
"""The first level of the topics that are never in the log."""
NEVER_EXPIRES = 0xFFFFFFFF
"""A session expiry interval that does not end (MQTT 5, 3.1.2.11.2)."""


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An application message (MQTT 5, 3.3). ``publisher`` is a session's key; ``expires_us`` is wall-clock time.

    Of several messages with the same ``id`` (not empty) within an hour the first is stored.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    publisher: str = ""
    expires_us: int | None = None
    payload_format: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    id: str = ""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of the log under its sequence; a retained one also has a sequence of its own in ``retained``."""

    sequence: int
    message: Message
    retained: int = 0


class Subscription(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One subscription of a session (MQTT 5, 3.8.3.1), as granted.

    ``filter`` is without ``$share/{group}/``, ``identifier`` 0 means none. It is for messages of the log behind
    ``since``; retained messages are due behind ``retained`` of theirs (-1: none are due).
    """

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0
    identifier: int = 0
    group: str = ""
    since: int = 0
    retained: int = -1

    @property
    def name(self) -> str:
        """What tells it from the session's others: the filter as the client wrote it."""
        return f"$share/{self.group}/{self.filter}" if self.group else self.filter

    @property
    def reaches_log(self) -> bool:
        """Whether it can match a message of the log: what is below ``v1/`` comes from devices and events alone."""
        return self.filter.partition("/")[0] != INTERFACE


class InFlight(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message of QoS 1 that a client has and did not acknowledge; ``packet_id`` 0: it waits to be sent.

    ``retained`` is its sequence among the retained ones (0: it came from the log), ``retain`` the flag it bears.
    """

    packet_id: int
    sequence: int
    retained: int = 0
    retain: bool = False
    identifiers: tuple[int, ...] = ()


class Will(msgspec.Struct, frozen=True):
    """Published ``delay_s`` after the connection ended, unless the session goes on before.

    It expires ``expiry_s`` after that; None: never.
    """

    message: Message
    delay_s: int = 0
    expiry_s: int | None = None


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session as any process can take it up.

    It is connected to ``gateway`` by ``connection``, or to none (empty) since ``disconnected_us``. Everything in the
    log up to ``position`` was sent, and of that ``in_flight`` (in the order of sending) not acknowledged. ``received``
    maps packet ids of QoS 2 that were not released to the id of the message and whether it is known to be stored.
    ``events`` is the position of `iot_system.ports.events` up to which its client has what it subscribed to with QoS 1
    (empty: nothing).
    """

    owner: str
    client_id: str
    gateway: str = ""
    connection: str = ""
    expiry_s: int = 0
    disconnected_us: int = 0
    position: int = 0
    subscriptions: tuple[Subscription, ...] = ()
    in_flight: tuple[InFlight, ...] = ()
    received: dict[int, tuple[str, bool]] = {}
    last_packet_id: int = 0
    will: Will | None = None
    events: str = ""

    @property
    def key(self) -> str:
        """See `session_key`."""
        return session_key(self.owner, self.client_id)

    def ends_us(self) -> int | None:
        """When the session is over: never (None) while connected, or if it does not expire."""
        if self.gateway or self.expiry_s == NEVER_EXPIRES:
            return None
        return self.disconnected_us + self.expiry_s * 1_000_000

    def will_due_us(self) -> int | None:
        """When its will is due: with the delay or with the session, whichever is first (3.1.3.2.2)."""
        if self.will is None or self.gateway:
            return None
        return self.disconnected_us + min(self.will.delay_s, self.expiry_s) * 1_000_000


class Found(msgspec.Struct, frozen=True, gc=False):
    """What `Sessions.scan` tells of a record without reading it; ``due_us``: when there is something to do for it.

    ``owner`` is the `owner_key` of a session that outlives its connection, else empty.
    """

    key: str
    revision: int
    gateway: str
    due_us: int | None
    groups: frozenset[str]
    owner: str = ""


def owner_key(owner: str) -> str:
    """One name for an owner of sessions: 32 hexadecimal digits."""
    return sha256(owner.encode()).hexdigest()[:32]


def session_key(owner: str, client_id: str) -> str:
    """One name for a client identifier, which counts within its owner: 32 hexadecimal digits."""
    return sha256(f"{len(owner)}:{owner}{client_id}".encode()).hexdigest()[:32]


def group_key(group: str, filter_: str) -> str:
    """One name for a shared subscription: 32 hexadecimal digits."""
    return sha256(f"{group}/{filter_}".encode()).hexdigest()[:32]


class MessageReader(Protocol):
    """Reads in the order of sequences without gaps, and mends itself after connection losses."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def fetch(self, limit: int, *, wait_s: float) -> list[Stored]:
        """Return at least one message as soon as there is one; none after ``wait_s``, or at the end of the log.

        Raises `Unavailable` where it could not mend itself (it may be called again), and
        `iot_system.ports.stream.StreamLost` where the log ends before what was read.
        """
        ...

    @property
    def is_at_end(self) -> bool:
        """Whether everything was read that there was when it was opened, and nothing more is known to wait."""
        ...


class Shared(msgspec.Struct, frozen=True, gc=False):
    """A message of a shared subscription, for one of its members; ``token`` settles it."""

    stored: Stored
    token: str


class Group(Protocol):
    """One process's hand in a shared subscription: each message goes to one process at a time, until it is settled."""

    async def fetch(self, limit: int, *, wait_s: float) -> list[Shared]:
        """Messages for this process. Raises `Unavailable`."""
        ...

    async def done(self, token: str) -> None:
        """A member has it."""
        ...

    async def give_back(self, token: str) -> None:
        """Nobody here has it: it goes to another member."""
        ...

    async def hold(self, token: str) -> None:
        """A member here still works on it; to be said every `HOLD_EVERY_S`, else it goes to another one."""
        ...

    async def close(self) -> None:
        """Fetch no more here; the others go on."""
        ...


HOLD_EVERY_S = 10.0
GROUP_LIMIT = 1000
"""How many messages of a shared subscription may be with its members, over all processes."""


class Messages(Protocol):
    """The log. Every method may raise `Unavailable`."""

    async def publish(self, messages: Sequence[Message]) -> list[int | IotError]:
        """Append in their order; returns for each its sequence once it is durable, or why it is not."""
        ...

    async def last(self) -> int:
        """The sequence of the newest message (0: none yet)."""
        ...

    async def get(self, sequences: Sequence[int]) -> list[Stored | None]:
        """Single messages; None for what is gone."""
        ...

    def read(self, filters: Sequence[str], *, after: int) -> MessageReader:
        """Read from behind ``after`` what matches topic ``filters``, and perhaps more: a caller matches exactly."""
        ...

    def uncovered(self, filters: Sequence[str], by: Sequence[str]) -> list[str]:
        """Those of ``filters`` for which a reader of the filters ``by`` does not get everything."""
        ...

    async def join(self, group: str, filter_: str, *, after: int) -> Group:
        """Take part in a shared subscription; where it is new, from behind ``after``."""
        ...

    async def delete_group(self, key: str) -> None:
        """Forget the shared subscription with this `group_key`: it has no member any more, anywhere."""
        ...


class Retained(Protocol):
    """The retained message of each topic. Every method may raise `Unavailable`."""

    async def put(self, stored: Stored) -> None:
        """Keep it for its topic, or with an empty payload forget the topic's, unless that one is newer in the log.

        Raises `Overloaded` where there is no room for another one.
        """
        ...

    async def get(self, sequences: Sequence[int]) -> list[Stored | None]:
        """Single messages by their ``retained`` sequences; None for what is gone."""
        ...

    async def of(self, topic: str) -> Stored | None:
        """The retained message of one topic."""
        ...

    def read(self, filters: Sequence[str], *, after: int) -> MessageReader:
        """Read what matches ``filters``, and perhaps more, from behind the ``retained`` sequence ``after``.

        One with an empty payload says that the topic has none.
        """
        ...


class SessionTaken(IotError):
    """The record has another revision: another process, or another connection, has the session now."""


class Sessions(Protocol):
    """The records. Every method may raise `Unavailable`."""

    async def load(self, key: str) -> tuple[SessionRecord, int] | None:
        """The record and its revision."""
        ...

    async def save(self, record: SessionRecord, revision: int) -> int:
        """Write over ``revision`` (0: there is none); returns the new one. Raises `SessionTaken`.

        Raises `Overloaded` where there is no room for another record.
        """
        ...

    async def delete(self, key: str, revision: int) -> None:
        """Remove exactly this revision. Raises `SessionTaken`."""
        ...

    async def scan(self) -> list[Found]:
        """All records, by what their headers tell."""
        ...


Release = Callable[[str, bool], Awaitable[bool]]
"""Takes a session's key and whether it starts anew: gives it up if this process has it, and saves it; or says no."""


class Colleagues(Protocol):
    """The other processes that serve sessions."""

    async def release(self, gateway: str, key: str, *, is_new: bool, timeout_s: float) -> bool:
        """Ask ``gateway`` to give a session up; False where it does not have it or does not answer in time."""
        ...

    async def serve_release(self, gateway: str, release: Release) -> None:
        """Answer the others, as ``gateway``."""
        ...


class Backend(Protocol):
    """What a process needs to be a broker."""

    @property
    def messages(self) -> Messages: ...
    @property
    def retained(self) -> Retained: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def colleagues(self) -> Colleagues: ...
