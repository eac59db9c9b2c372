"""What a device's connection is sent: desired state and commands, its own and those of devices it is the gateway of.

The actor of the device decides what is sent and sends it again: here nothing is kept but what was given, so that
commands come in their order whatever of the actor's words is lost or repeated. A device's name in the topics is the one
that it has subscribed with, its id or ``me``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties
from iot_system.adapters.mqtt.session import Delivery
from iot_system.adapters.mqtt.topics import overlap
from iot_system.domain import deliveries
from iot_system.domain.commands import OPEN_LIMIT, Command
from iot_system.domain.ids import ME
from iot_system.domain.signals import CommandDelivered, Connected, DesiredDelivered, Disconnected, Signal
from iot_system.ports.broker import Subscription

_DESIRED = "d"
_COMMAND = "c"
_encode = msgspec.json.Encoder().encode


class Wants(NamedTuple):
    """What a connection has subscribed to of one device."""

    desired: bool = False
    commands: bool = False


class Downlink:
    """One connection of the device ``device`` to ``gateway``, with the session of ``member``.

    ``say`` takes what the owners of the devices are to know.
    """

    def __init__(
        self,
        device: str,
        gateway: str,
        connection: str,
        member: Attachment,
        *,
        now_us: Callable[[], int],
        say: Callable[[Signal], None],
    ) -> None:
        self.device = device
        self._gateway = gateway
        self._connection = connection
        self._member = member
        self._now_us = now_us
        self._say = say
        self._wants: dict[str, Wants] = {}
        self._versions: dict[str, int] = {}
        """By device: of the desired state that was given last."""
        self._owed: set[str] = set()
        """Devices that something had no room for: all is asked for when there is room again."""
        self._missing: set[str] = set()
        """Devices that a command was lost for or had no room: all was or will be asked for, what is behind waits."""
        self._given: dict[str, dict[str, bool]] = {}
        """By device: the last commands that came, and whether they were given.

        They were not where the device does not listen to such or its client does not take them: others do not wait.
        """

    def begin(self) -> None:
        """The device is connected, with what its session has subscribed to."""
        self._wants = self._wanted()
        for device in self._wants:
            self._connected(device)

    def subscribed(self, asks: Sequence[Subscription]) -> None:
        """Subscriptions are added; ``asks`` of them are to be sent what they are for, though they were there before."""
        self._change({self._named(one.filter) for one in asks if not one.reaches_log})

    def unsubscribed(self) -> None:
        """Some subscriptions are gone."""
        self._change(())

    def deliver(self, delivery: deliveries.Delivery) -> None:
        """What the owner of a device sends over this connection."""
        device = delivery.device
        if delivery.desired is None and not delivery.commands:
            self._connected(device)
            return
        messages: list[Delivery] = []
        if delivery.desired is not None and self._follows(device, delivery.desired):
            messages += self._desired(device, delivery.desired)
        if not self._send(messages):
            self._owed.add(device)
        if delivery.commands and self._continues(device, delivery.behind):
            self._commands(device, delivery.commands)

    def _continues(self, device: str, behind: str | None) -> bool:
        """Whether commands may be given now, for the one before them was; else all is asked for, once."""
        if behind is None or behind in self._given.get(device, ()):
            self._missing.discard(device)
            return True
        if device not in self._missing:
            self._missing.add(device)
            self._connected(device)
        return False

    def _commands(self, device: str, commands: Iterable[Command]) -> None:
        """Give what was not given yet; the owner is told again of what it does not know to be delivered."""
        given = self._given.setdefault(device, {})
        waiting = self._waiting()
        for command in commands:
            if f"{_COMMAND}{device}/{command.id}" in waiting:
                given[command.id] = True
            elif given.get(command.id):
                self._say(CommandDelivered(device, command.id, self._now_us()))
            else:
                messages = self._command(command)
                is_sent = self._send(messages)
                if not is_sent and any(one.qos and not self._member.has_room(one.size) for one in messages):
                    self._owed.add(device)
                    self._missing.add(device)
                    break
                given[command.id] = is_sent and bool(messages)
        while len(given) > OPEN_LIMIT:
            del given[next(iter(given))]

    def _send(self, messages: Sequence[Delivery]) -> bool:
        """False where some of them find no room, or are too large for the client."""
        dropped = {id(one) for one in self._member.client.deliver(messages)} if messages else set()
        for one in messages:
            if id(one) not in dropped and not one.qos:
                self._delivered(one)
        return dropped.isdisjoint(map(id, messages))

    def acknowledged(self, messages: Iterable[Delivery], dropped: Iterable[Delivery]) -> None:
        """The client has these; those ``dropped`` waited, but are too large for it."""
        for one in messages:
            self._delivered(one)
        for one in dropped:
            device, _, what = one.id[1:].partition("/")
            if one.id.startswith(_COMMAND) and what in (given := self._given.get(device, {})):
                given[what] = False
        if self._member.is_half_free:  # not at each message, for all is sent again
            owed, self._owed = self._owed, set()
            for device in owed:
                self._connected(device)

    def end(self, reason: str) -> None:
        """The connection is over."""
        for device in self._wants:
            self._say(Disconnected(device, self._connection, reason, self._now_us()))
        self._wants = {}

    def _change(self, again: Iterable[str]) -> None:
        before, self._wants = self._wants, self._wanted()
        for device, wants in self._wants.items():
            if wants != before.get(device) or device in again:
                self._given.pop(device, None)
                self._connected(device)
        for device in before.keys() - self._wants.keys():
            self._given.pop(device, None)
            self._say(Disconnected(device, self._connection, "unsubscribed", self._now_us()))

    def _connected(self, device: str) -> None:
        wants = self._wants.get(device)
        if wants is not None:
            self._versions.pop(device, None)
            self._say(Connected(device, self._gateway, self._connection, self._now_us(), *wants))

    def _wanted(self) -> dict[str, Wants]:
        found = {self.device: Wants()}
        for filter_ in self._filters():
            device = self._named(filter_)
            name = filter_.split("/")[2]
            before = found.get(device, Wants())
            found[device] = Wants(
                before.desired or matches(filter_, _desired_topic(name)),
                before.commands or overlap(filter_, f"v1/devices/{name}/commands/+/+"),
            )
        return found

    def _filters(self) -> list[str]:
        """All name a device: a device may subscribe to nothing else below ``v1/``."""
        return [one.filter for one in self._member.subscriptions.values() if not one.reaches_log]

    def _named(self, filter_: str) -> str:
        name = filter_.split("/")[2]
        return self.device if name == ME else name

    def _follows(self, device: str, desired: deliveries.Desired) -> bool:
        """Whether the device can make something of it: a patch needs all before it, else the whole is asked for.

        What is sent again while it is on its way still must not pile up behind itself.
        """
        before = self._versions.get(device)
        if desired.version == before and f"{_DESIRED}{device}/{before}" in self._waiting():
            return False
        if not desired.is_whole:
            if before is not None and desired.version <= before:
                return False
            if before is None or desired.version > before + 1:
                self._connected(device)
                return False
        self._versions[device] = desired.version
        return True

    def _desired(self, device: str, desired: deliveries.Desired) -> list[Delivery]:
        key = "desired" if desired.is_whole else "patch"
        payload = _encode({"version": desired.version, key: desired.state})
        return self._messages(
            device,
            _desired_topic,
            lambda topic, qos, identifiers: Delivery(
                topic,
                payload,
                qos,
                desired.is_whole,
                Properties(subscription_identifier=identifiers) if identifiers else NO_PROPERTIES,
                id=f"{_DESIRED}{device}/{desired.version}",
            ),
        )

    def _command(self, command: Command) -> list[Delivery]:
        payload = _encode(command.payload)
        return self._messages(
            command.device,
            lambda name: f"v1/devices/{name}/commands/{command.id}/{command.name}",
            lambda topic, qos, identifiers: Delivery(
                topic,
                payload,
                qos,
                properties=Properties(
                    response_topic=f"{topic.rpartition('/')[0]}/result",
                    correlation_data=command.id.encode(),
                    subscription_identifier=identifiers,
                ),
                expires_s=command.expires_us / 1e6,
                id=f"{_COMMAND}{command.device}/{command.id}",
            ),
        )

    def _messages(
        self,
        device: str,
        topic_of: Callable[[str], str],
        message_of: Callable[[str, int, tuple[int, ...]], Delivery],
    ) -> list[Delivery]:
        """One for each name that the device has subscribed with."""
        found: list[Delivery] = []
        for name in (ME, device) if device == self.device else (device,):
            topic = topic_of(name)
            matching = [
                one for one in self._member.subscriptions.values() if not one.reaches_log and matches(one.filter, topic)
            ]
            if matching:
                identifiers = tuple(one.identifier for one in matching if one.identifier)
                found.append(message_of(topic, max(one.qos for one in matching), identifiers))
        return found

    def _waiting(self) -> frozenset[str]:
        """Ids of what is on its way already: a command that is sent again meanwhile must not pile up behind itself."""
        session = self._member.session
        return frozenset(one.id for one in [*session.in_flight.values(), *session.pending])

    def _delivered(self, message: Delivery) -> None:
        kind, (device, _, what) = message.id[:1], message.id[1:].partition("/")
        if kind == _COMMAND:
            self._say(CommandDelivered(device, what, self._now_us()))
        elif kind == _DESIRED:
            self._say(DesiredDelivered(device, int(what), self._now_us()))


def _desired_topic(name: str) -> str:
    return f"v1/devices/{name}/twin/desired"
