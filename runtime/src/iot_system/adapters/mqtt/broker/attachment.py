"""A session while its client is connected to this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from iot_system.adapters.mqtt.broker.deliveries import for_member
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery, Received, Session
from iot_system.ports.broker import InFlight, SessionRecord, Stored, Subscription


class Due(NamedTuple):
    """Retained messages that a subscription is owed: behind ``after`` of theirs, not behind ``until`` in the log."""

    after: int
    until: int


class Client(Protocol):
    """The connection, as the broker sees it."""

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        """Send, or queue in its `Session`; returns what is dropped."""
        ...

    def taken_over(self) -> None:
        """The session is somewhere else from now on: close (0x8E). Nothing it has to save is saved any more."""
        ...

    def failed(self) -> None:
        """The client cannot be served because of an error in this program, which is logged: close."""
        ...


class Attachment:
    """A live one gets messages as they come; one that is behind gets them from the log, as far as it has room.

    A message that matches while it is behind is remembered as ``skipped``: it has caught up when it has read so far.
    """

    def __init__(
        self, client: Client, session: Session, record: SessionRecord, revision: int, limits: MqttLimits
    ) -> None:
        self.client = client
        self.session = session
        self.record = record
        self.revision = revision
        self.key = record.key
        self.subscriptions = {one.name: msgspec.structs.replace(one, retained=-1) for one in record.subscriptions}
        self.retained_due = {
            one.name: Due(one.retained, record.position) for one in record.subscriptions if one.retained >= 0
        }
        self.shared_due = [one for one in record.subscriptions if one.group]
        """Shared subscriptions of an older connection that are to be taken up."""
        self.position = record.position
        self.skipped = 0
        self.is_live = not self.own()
        self.is_detached = False
        self.is_dirty = False
        self.saving = asyncio.Lock()
        self.supply: asyncio.Task[None] | None = None
        self.events = record.events
        """Up to where the client was given events with QoS 1; see `SessionRecord.events`."""
        self.on_dropped: Callable[[list[Delivery]], None] = lambda dropped: None
        self._limits = limits
        self._staged: list[Delivery] = []
        self._staged_bytes = 0
        self._room = asyncio.Event()

    @property
    def outlives_connection(self) -> bool:
        return self.session.expiry_interval_s > 0

    def has_room(self, size: int) -> bool:
        """Whether a message of ``size`` bytes can be staged."""
        session, limits = self.session, self._limits
        queued = len(session.in_flight) + len(session.pending) + len(self._staged)
        return queued == 0 or (
            queued < limits.queued_messages and session.queued_bytes + self._staged_bytes + size <= limits.queued_bytes
        )

    @property
    def is_half_free(self) -> bool:
        """Whether half of the queue is free."""
        session, limits = self.session, self._limits
        queued = len(session.in_flight) + len(session.pending)
        return queued <= limits.queued_messages // 2 and session.queued_bytes <= limits.queued_bytes // 2

    def own(self) -> list[Subscription]:
        """Its subscriptions to the log but for the shared ones."""
        return [one for one in self.subscriptions.values() if one.reaches_log and not one.group]

    def take_live(self, stored: Stored, subscriptions: Sequence[Subscription]) -> bool:
        """A message has come that matches; returns False if the member is behind by it."""
        if not self.is_live:
            self.skipped = stored.sequence
            return True
        if stored.sequence <= self.position:
            return True
        message = for_member(stored, subscriptions, self.key)
        if message is None:
            return True
        if not self.stage(message):
            self.is_live = False
            self.position, self.skipped = stored.sequence - 1, stored.sequence
            return False
        self.position = stored.sequence
        return True

    def stage(self, message: Delivery) -> bool:
        """Take a message for the next `flush`; False where there is no room for one of QoS 1."""
        if message.qos:
            if not self.has_room(message.size):
                return False
            self._staged_bytes += message.size
        self._staged.append(message)
        return True

    def flush(self) -> None:
        """Hand over what was staged."""
        if not self._staged:
            return
        staged, self._staged, self._staged_bytes = self._staged, [], 0
        if self.is_detached:
            return
        self.is_dirty = True
        dropped = self.client.deliver(staged)
        if dropped:
            self.on_dropped(dropped)

    async def stage_with_room(self, message: Delivery) -> None:
        """As `stage`, after waiting until half of the queue is free where there is no room."""
        while not self.stage(message):
            self.flush()
            self._room.clear()
            await self._room.wait()

    def acknowledged(self) -> None:
        """The client has something that it was sent."""
        self.is_dirty = True
        if not self._room.is_set() and self.is_half_free:
            self._room.set()

    def snapshot(self, head: int | None) -> SessionRecord:
        """The record as it is to be saved; ``head`` is how far the log was read for those that are live."""
        session = self.session
        position = self.position
        if self.is_live and head is not None:
            position = max(position, head)
        in_flight = [_in_flight(packet_id, one) for packet_id, one in session.in_flight.items()]
        for message in session.pending:
            if message.id.startswith("m"):  # is read from the log again
                position = min(position, int(message.id[1:]) - 1)
            else:
                in_flight.append(_in_flight(0, message))
        return msgspec.structs.replace(
            self.record,
            expiry_s=session.expiry_interval_s,
            position=position,
            subscriptions=tuple(
                [
                    msgspec.structs.replace(one, retained=self.retained_due[name].after)
                    if name in self.retained_due
                    else one
                    for name, one in self.subscriptions.items()
                ]
            ),
            in_flight=tuple([one for one in in_flight if one is not None]),
            received={key: (one.message_id, one.is_stored) for key, one in session.inbound.items()},
            last_packet_id=session.last_packet_id,
            events=next((one.id[1:] for one in self._unacknowledged() if one.id.startswith("e")), self.events),
        )

    def _unacknowledged(self) -> list[Delivery]:
        return [*self.session.in_flight.values(), *self.session.pending, *self._staged]


def session_from(record: SessionRecord, in_flight: Sequence[tuple[int, Delivery]]) -> Session:
    """The session of a record; ``in_flight`` are its messages under their packet ids, 0 for those that wait."""
    session = Session(record.client_id, record.connection, record.expiry_s)
    for packet_id, message in in_flight:
        if packet_id:
            session.in_flight[packet_id] = message
        else:
            session.pending.append(message)
        session.queued_bytes += message.size
    session.inbound = {key: Received(id_, is_stored) for key, (id_, is_stored) in record.received.items()}
    session.last_packet_id = record.last_packet_id
    return session


def _in_flight(packet_id: int, message: Delivery) -> InFlight | None:
    """None for what the record does not keep: a shared subscription's goes to another member, others have their own."""
    identifiers = message.properties.subscription_identifier
    match message.id[:1]:
        case "m":
            return InFlight(packet_id, int(message.id[1:]), 0, message.retain, identifiers)
        case "r":
            return InFlight(packet_id, 0, int(message.id[1:]), message.retain, identifiers)
        case _:
            return None
