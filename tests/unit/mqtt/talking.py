"""A client and the state machine that serves it, without a network between them."""

from __future__ import annotations

from collections.abc import Mapping

from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.events import Ended, Event
from iot_system.adapters.mqtt.inbound import Batch, Refusal
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, ConnAck, Connect, Packet, Publish
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.session import Session

LIMITS = MqttLimits()
TOPIC = "v1/devices/me/telemetry"


def connect_of(level: int = MQTT_5, **properties: object) -> Connect:
    """What a client with the identifier ``client`` says first."""
    return Connect("client", level, keep_alive_s=60, properties=Properties(**properties))  # type: ignore[arg-type]


def new_session(id_: str = "s") -> Session:
    return Session("client", id_)


def message(packet_id: int, qos: int = 1, *, dup: bool = False, topic: str = TOPIC) -> Publish:
    return Publish(topic, b"{}", qos, packet_id, dup)


class Talk:
    """A connection that is let in; everything is said at time ``now_s``."""

    def __init__(
        self,
        connect: Connect | None = None,
        limits: MqttLimits = LIMITS,
        *,
        session: Session | None = None,
        now_s: float = 0.0,
        epoch_s: float = 0.0,
    ) -> None:
        connect = connect or connect_of()
        self.now_s = now_s
        self.level = MQTT_5 if connect.protocol_level == MQTT_5 else MQTT_3_1_1
        self.session = session or new_session()
        self.connection = Connection(limits, now_s, epoch_s=epoch_s)
        self._client = Decoder(1 << 20, 1 << 20, self.level)
        assert self.connection.receive(encode(connect), now_s) == [connect]
        self.accepted = self.connection.accept(connect, self.session, now_s, session_present=session is not None)
        self.connack, *self.greeting = self.sent()
        assert isinstance(self.connack, ConnAck)

    def say(self, *packets: Packet) -> list[Event]:
        """The client sends these at once."""
        return self.connection.receive(b"".join(encode(one, self.level) for one in packets), self.now_s)

    def sent(self) -> list[Packet]:
        """What the client receives now."""
        packets: list[Packet] = []
        self._client.feed(self.connection.output(), packets)
        return packets

    def publish(self, *packets: Packet) -> Batch:
        """The client sends these, and something of it is to be stored."""
        (batch,) = self.say(*packets)
        assert isinstance(batch, Batch)
        return batch

    def store(self, *packets: Packet, refusals: Mapping[int, Refusal] | None = None) -> list[Packet]:
        """As `publish`, and what the client is answered once they are settled."""
        assert self.connection.settle(self.publish(*packets), refusals or {}) == []
        return self.sent()

    def ended(self, *packets: Packet) -> Ended:
        """How the connection ends by these."""
        (ended,) = self.say(*packets)
        assert isinstance(ended, Ended)
        return ended
