"""Clients of a running system by raw packets: all are the administrator, each test has topics of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar
from uuid import uuid4

from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    ConnAck,
    Connect,
    Disconnect,
    Options,
    Packet,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties

from tests.contract.mqtt.serving import RawClient
from tests.harness.system import ADMIN_TOKEN, System

LEVELS = [MQTT_3_1_1, MQTT_5]
WEEK_S = 7 * 86_400
AnyPacket = TypeVar("AnyPacket", bound=Packet)


class Guest(RawClient):
    """``connack`` is what it was let in with; messages that come while it waits for something else are kept."""

    connack: ConnAck
    _messages: list[Publish]
    _packet_id = 0

    async def answer(self, kind: type[AnyPacket]) -> AnyPacket:
        """The next packet that is no message, which is of this kind."""
        while True:
            packet = await self.receive()
            if isinstance(packet, Publish) and kind is not Publish:
                self._messages.append(packet)
                continue
            assert isinstance(packet, kind), packet
            return packet

    async def message(self, *, acknowledge: bool = True) -> Publish:
        """The next message."""
        message = self._messages.pop(0) if self._messages else await self.answer(Publish)
        if message.qos and acknowledge:
            await self.send(PubAck(message.packet_id))
        return message

    async def messages(self, count: int, *, acknowledge: bool = True) -> list[Publish]:
        return [await self.message(acknowledge=acknowledge) for _ in range(count)]

    async def payloads(self, count: int) -> list[bytes]:
        return [one.payload for one in await self.messages(count)]

    async def subscribe(self, *filters: str | tuple[str, Options], identifier: int | None = None) -> SubAck:
        """With QoS 1 where nothing else is said."""
        asked = tuple((one, Options(1)) if isinstance(one, str) else one for one in filters)
        properties = Properties(subscription_identifier=(identifier,)) if identifier else NO_PROPERTIES
        await self.send(Subscribe(self._next_id(), asked, properties))
        return await self.answer(SubAck)

    async def unsubscribe(self, *filters: str) -> UnsubAck:
        await self.send(Unsubscribe(self._next_id(), filters))
        return await self.answer(UnsubAck)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 1,
        *,
        retain: bool = False,
        dup: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Returns when the server has it; with QoS 0 at once."""
        packet_id = self._next_id() if qos else 0
        await self.send(Publish(topic, payload, qos, packet_id, dup, retain, properties))
        if qos == 1:
            assert (await self.answer(PubAck)).reason_code < 0x80
        elif qos == 2:
            assert await self.answer(PubRec) == PubRec(packet_id)
            await self.send(PubRel(packet_id))
            assert await self.answer(PubComp) == PubComp(packet_id)

    async def leave(self) -> None:
        """Say goodbye, and return when the server has closed."""
        await self.send(Disconnect())
        await self.receive_rest()

    def vanish(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()

    def _next_id(self) -> int:
        self._packet_id += 1
        return self._packet_id


class Guests:
    """Lets clients in at the pods of ``system``. ``base`` begins the topics and client identifiers of one test."""

    def __init__(self, system: System) -> None:
        self.base = f"app/{uuid4().hex}"
        self._system = system
        self._guests: list[Guest] = []

    def topic(self, name: str) -> str:
        return f"{self.base}/{name}"

    async def open(
        self,
        client_id: str = "",
        *,
        level: int = MQTT_5,
        pod: int = 0,
        keeps: bool = False,
        clean_start: bool | None = None,
        keep_alive_s: int = 0,
        will: Will | None = None,
        properties: Properties | None = None,
    ) -> Guest:
        """A client that is let in. One that ``keeps`` its session has it for a week, and goes on with it."""
        if properties is None:
            properties = Properties(session_expiry_interval=WEEK_S) if keeps and level == MQTT_5 else NO_PROPERTIES
        hello = Connect(
            f"{self.base}/{client_id}" if client_id else "",
            level,
            not keeps if clean_start is None else clean_start,
            keep_alive_s,
            "admin",
            ADMIN_TOKEN.encode(),
            will,
            properties,
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self._system.pods[pod].mqtt_port)
        guest = Guest(reader, writer, level)
        guest._messages = []
        self._guests.append(guest)
        await guest.send(hello)
        guest.connack = await guest.answer(ConnAck)
        assert guest.connack.reason_code == 0
        return guest

    async def kept(self, level: int) -> list[tuple[bytes, int]]:
        """What a new subscriber to all of ``base`` gets at once, with its QoS: the marker is the last that was kept."""
        marker, subscriber = self.topic("~marker"), await self.open(level=level)
        await subscriber.publish(marker, b"marker", retain=True)
        await subscriber.subscribe(self.topic("#"))
        found = []
        while (message := await subscriber.message()).topic != marker:
            assert message.retain
            found.append((message.payload, message.qos))
        return found

    async def close(self) -> None:
        for guest in self._guests:
            await guest.close()


@contextlib.asynccontextmanager
async def guests_of(system: System) -> AsyncIterator[Guests]:
    guests = Guests(system)
    try:
        yield guests
    finally:
        await guests.close()
