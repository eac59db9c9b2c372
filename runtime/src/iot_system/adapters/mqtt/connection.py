"""The server's side of one connection as a state machine without I/O.

Bytes go in by `Connection.receive`, what to do comes out as events, what to send is taken by `Connection.output`. All
PUBLISH packets of one call of `receive` form one `Batch`; batches may become durable in any order, their PUBACKs leave
in the order of the packets (4.6). Time is a number of seconds that the caller passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto
from typing import TypeAlias

import msgspec

from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode, encode_pubacks
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.malformed import MalformedPacket
from iot_system.adapters.mqtt.packets import ConnAck, Connect, Packet, Publish
from iot_system.adapters.mqtt.reasons import SUBSCRIPTION_REFUSED, ConnectCode, ReasonCode
from iot_system.adapters.mqtt.topics import is_own
from iot_system.ports.gateway import Principal


class Batch:
    """PUBLISH packets that arrived together, in their order."""

    __slots__ = ("acknowledgements", "is_settled", "publishes", "size")

    def __init__(self, publishes: list[Publish]) -> None:
        self.publishes = publishes
        self.size = sum([len(one.payload) for one in publishes])
        self.acknowledgements: list[int] = []
        self.is_settled = False


class Ended(msgspec.Struct, frozen=True):
    """The connection is over: send what `Connection.output` holds, then close, but not before ``after_s`` seconds.

    ``reason`` is one of few words, ``why`` a sentence; None where nothing went wrong.
    """

    reason: str
    why: str | None = None
    after_s: float = 0.0


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is not stored: one of few words, a sentence, and the seconds that a sender should wait."""

    reason: str
    why: str
    after_s: float


Event: TypeAlias = Connect | Batch | Ended


class _State(Enum):
    WAITING_FOR_CONNECT = auto()
    AUTHENTICATING = auto()
    OPEN = auto()
    ENDING = auto()
    """Nothing more is read; what is in flight is still acknowledged."""
    ENDED = auto()


class Connection:
    """One client. After the event `Connect` comes `accept` or `refuse`; after each `Batch`, `settle`."""

    def __init__(self, limits: MqttLimits, now_s: float) -> None:
        self._limits = limits
        self._decoder = Decoder(limits.payload_bytes, limits.connect_bytes)
        self._state = _State.WAITING_FOR_CONNECT
        self._principal: Principal | None = None
        self._keep_alive_s = 0.0
        self._heard_s = now_s
        self._packet_began_s: float | None = None
        self._write_blocked_s: float | None = None
        self._held: list[Packet] = []
        self._held_failure: MalformedPacket | None = None
        self._in_flight: deque[Batch] = deque()
        self._in_flight_messages = 0
        self._in_flight_bytes = 0
        self._output: list[bytes] = []
        self._ending: Ended | None = None
        self.subscriptions: dict[str, int] = {}
        """Topic filter → granted QoS."""

    @property
    def wants_input(self) -> bool:
        """False while reading must pause: a bound is reached, or an answer of ours is due first."""
        return (
            self._state in (_State.OPEN, _State.WAITING_FOR_CONNECT)
            and self._write_blocked_s is None
            and self._in_flight_messages < self._limits.in_flight_messages
            and self._in_flight_bytes < self._limits.in_flight_bytes
        )

    def output(self) -> bytes:
        """Take what is to be sent."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def receive(self, data: bytes, now_s: float) -> list[Event]:
        """Take bytes from the client."""
        if self._state in (_State.ENDING, _State.ENDED):
            return []
        received: list[Packet] = []
        failure = None
        try:
            self._decoder.feed(data, received)
        except MalformedPacket as malformed:
            failure = malformed
        if received:
            self._heard_s = now_s
        if not self._decoder.is_inside_packet:
            self._packet_began_s = None
        elif received or self._packet_began_s is None:
            self._packet_began_s = now_s
        return self._handle(received, failure)

    def accept(self, connect: Connect, principal: Principal) -> list[Event]:
        """Answer CONNECT with yes; returns what the packets behind it make happen."""
        if self._state is not _State.AUTHENTICATING:
            return []
        self._principal = principal
        self._keep_alive_s = connect.keep_alive_s * 1.5
        self._state = _State.OPEN
        self._output.append(encode(ConnAck(ConnectCode.ACCEPTED)))
        held, failure = self._held, self._held_failure
        self._held, self._held_failure = [], None
        return self._handle(held, failure)

    def refuse(self, code: ConnectCode, reason: str, why: str) -> list[Event]:
        """Answer CONNECT with no (3.2.2.3)."""
        if self._state is not _State.AUTHENTICATING:
            return []
        self._held.clear()
        self._output.append(encode(ConnAck(code)))
        return self.finish(Ended(reason, why))

    def settle(self, batch: Batch, refusals: Mapping[int, Refusal]) -> list[Event]:
        """A batch is durable but for the packets with the indexes in ``refusals``; acknowledges what the order allows.

        A refused message of QoS 1 ends the connection, see `iot_system.adapters.mqtt.server`.
        """
        batch.acknowledgements = [
            one.packet_id for index, one in enumerate(batch.publishes) if one.qos and index not in refusals
        ]
        batch.is_settled = True
        while self._in_flight and self._in_flight[0].is_settled:
            done = self._in_flight.popleft()
            self._in_flight_messages -= len(done.publishes)
            self._in_flight_bytes -= done.size
            if done.acknowledgements and self._state is not _State.ENDED:
                self._output.append(encode_pubacks(done.acknowledgements))
        for index, refusal in refusals.items():
            if batch.publishes[index].qos:
                return self.finish(Ended(refusal.reason, refusal.why, refusal.after_s))
        return self._ended_if_drained()

    def finish(self, ending: Ended) -> list[Event]:
        """Read no more, acknowledge what is in flight, then end."""
        if self._state is not _State.ENDED:
            self._state = _State.ENDING
            self._ending = self._ending or ending
        return self._ended_if_drained()

    def end(self) -> None:
        """Nothing more can be sent: the client is gone."""
        self._state = _State.ENDED

    def write_blocked(self, now_s: float) -> None:
        """The client does not read its answers."""
        self._write_blocked_s = now_s

    def write_unblocked(self) -> None:
        """It reads again."""
        self._write_blocked_s = None

    def input_resumed(self, now_s: float) -> None:
        """Reading goes on after a pause of our making, which must not count against the client."""
        self._heard_s = now_s
        if self._packet_began_s is not None:
            self._packet_began_s = now_s

    def check_time(self, now_s: float) -> list[Event]:
        """End the connection if the client is too slow (3.1.2.10, and our own limits)."""
        if why := self._why_too_slow(now_s):
            self._state = _State.ENDED
            return [Ended("slow_reader" if self._write_blocked_s is not None else "timeout", why)]
        return []

    def _why_too_slow(self, now_s: float) -> str | None:
        limits = self._limits
        if self._write_blocked_s is not None:
            if now_s - self._write_blocked_s > limits.write_timeout_s:
                return f"the client did not read its answers for {limits.write_timeout_s:g} s"
        elif not self.wants_input:
            return None
        elif self._state is _State.WAITING_FOR_CONNECT:
            if now_s - self._heard_s > limits.connect_timeout_s:
                return f"no CONNECT came within {limits.connect_timeout_s:g} s"
        elif self._keep_alive_s and now_s - self._heard_s > self._keep_alive_s:
            return f"nothing came for {self._keep_alive_s:g} s, 1.5 times the keep-alive"
        elif self._packet_began_s is not None and now_s - self._packet_began_s > limits.packet_timeout_s:
            return f"a packet was not complete after {limits.packet_timeout_s:g} s"
        return None

    def _handle(self, received: list[Packet], failure: MalformedPacket | None) -> list[Event]:
        events: list[Event] = []
        publishes: list[Publish] = []
        ending: Ended | None = None
        for index, packet in enumerate(received):
            if type(packet) is Publish and packet.qos < 2 and self._state is _State.OPEN:
                publishes.append(packet)
            elif self._state is _State.AUTHENTICATING:
                self._held += received[index:]
                break
            elif isinstance(packet, Connect) and self._state is _State.WAITING_FOR_CONNECT:
                self._state = _State.AUTHENTICATING
                events.append(packet)
            elif ending := self._answer(packet):
                break
        if publishes:
            events.append(self._put_in_flight(publishes))
        if failure is not None and ending is None:
            if self._state is _State.AUTHENTICATING:
                self._held_failure = failure
            else:
                ending = Ended(failure.reason, str(failure))
        if ending is not None:
            events += self.finish(ending)
        return events

    def _put_in_flight(self, publishes: list[Publish]) -> Batch:
        batch = Batch(publishes)
        self._in_flight.append(batch)
        self._in_flight_messages += len(publishes)
        self._in_flight_bytes += batch.size
        return batch

    def _answer(self, packet: Packet) -> Ended | None:
        """Answer a packet that needs nobody else; or say why it ends the connection."""
        if self._principal is None:
            return Ended("protocol", f"the first packet is {_name(packet)}, not CONNECT (MQTT 3.1)")
        match packet:
            case packets.PingReq():
                self._output.append(encode(packets.PingResp()))
            case packets.Subscribe(packet_id, filters):
                codes = tuple([self._subscribe(filter_, asked.qos, self._principal) for filter_, asked in filters])
                self._output.append(encode(packets.SubAck(packet_id, codes)))
            case packets.Unsubscribe(packet_id, names):
                for name in names:
                    self.subscriptions.pop(name, None)
                self._output.append(encode(packets.UnsubAck(packet_id)))
            case packets.Disconnect():
                return Ended("disconnect")
            case Publish():
                return Ended("qos", "a message has QoS 2; this server takes QoS 0 and 1")
            case Connect():
                return Ended("protocol", "the client sent a second CONNECT (MQTT 3.1)")
            case _:
                return Ended("protocol", f"{_name(packet)} answers nothing that was sent")
        return None

    def _subscribe(self, filter_: str, qos: int, principal: Principal) -> ReasonCode:
        is_new = filter_ not in self.subscriptions
        if not is_own(filter_, principal) or (is_new and len(self.subscriptions) >= self._limits.subscriptions):
            return ReasonCode(SUBSCRIPTION_REFUSED)
        self.subscriptions[filter_] = granted = min(qos, 1)
        return ReasonCode(granted)

    def _ended_if_drained(self) -> list[Event]:
        if self._state is not _State.ENDING or self._in_flight or self._ending is None:
            return []
        self._state = _State.ENDED
        return [self._ending]


def _name(packet: Packet) -> str:
    return type(packet).__name__.upper()
