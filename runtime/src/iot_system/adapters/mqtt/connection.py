"""The server's side of one connection as a state machine without I/O, for MQTT 3.1.1 and 5.

Bytes go in by `Connection.receive`, what to do comes out as events, what to send is taken by `Connection.output`. All
PUBLISH packets of one call of `receive` form one `Batch`, but a SUBSCRIBE or UNSUBSCRIBE ends it; batches may become
durable in any order, their acknowledgements leave in the order of the packets (4.6). Time is a number of seconds that
the caller passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from iot_system.adapters.mqtt import handshake
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.dialogue import Dialogue
from iot_system.adapters.mqtt.events import Acknowledged, Ended, Event
from iot_system.adapters.mqtt.inbound import Batch, Refusal
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.malformed import MalformedPacket, ProtocolError
from iot_system.adapters.mqtt.output import Output
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Connect, Packet, Publish, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.patience import Patience
from iot_system.adapters.mqtt.properties import NO_PROPERTIES
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Delivery, Session


class _State(Enum):
    WAITING_FOR_CONNECT = auto()
    AUTHENTICATING = auto()
    OPEN = auto()
    ENDING = auto()
    """Nothing more is read; what is in flight is still acknowledged."""
    ENDED = auto()


class Connection:
    """One client.

    After the event `Connect` comes `accept` or `refuse`; after each `Batch`, `settle`; after `Subscribe` or
    `Unsubscribe`, `answer`. ``epoch_s`` is what to add to the caller's times to get seconds since 1970, in which
    messages expire.
    """

    def __init__(self, limits: MqttLimits, now_s: float, *, epoch_s: float = 0.0) -> None:
        self._limits = limits
        self._epoch_s = epoch_s
        self._decoder = Decoder(limits.payload_bytes, limits.connect_bytes)
        self._output = Output(MQTT_3_1_1)
        self._patience = Patience(limits, now_s)
        self._state = _State.WAITING_FOR_CONNECT
        self._dialogue: Dialogue | None = None
        self._held: list[Packet] = []
        self._held_failure: MalformedPacket | None = None
        self._ending: Ended | None = None

    @property
    def session(self) -> Session | None:
        """The client's, from `accept` on."""
        return self._dialogue.session if self._dialogue is not None else None

    @property
    def tells_refusals(self) -> bool:
        """Whether a message can be refused without ending the connection: MQTT 5."""
        return self._output.level == MQTT_5

    @property
    def wants_input(self) -> bool:
        """False while reading must pause: a bound is reached, or an answer of ours is due first."""
        if self._state is _State.WAITING_FOR_CONNECT:
            return not self._patience.is_write_blocked
        dialogue, limits = self._dialogue, self._limits
        return (
            self._state is _State.OPEN
            and dialogue is not None
            and dialogue.asked is None
            and not self._patience.is_write_blocked
            and dialogue.inbound.messages < limits.in_flight_messages
            and dialogue.inbound.size < limits.in_flight_bytes
        )

    def output(self) -> bytes:
        """Take what is to be sent."""
        return self._output.take()

    def receive(self, data: bytes, now_s: float) -> list[Event]:
        """Take bytes from the client."""
        if self._state in (_State.ENDING, _State.ENDED) or self._held_failure is not None:
            return []
        received: list[Packet] = []
        failure = None
        try:
            self._decoder.feed(data, received)
        except MalformedPacket as malformed:
            failure = malformed
        self._patience.heard(now_s, whole_packet=bool(received), is_inside_packet=self._decoder.is_inside_packet)
        return self._handle(received, failure, now_s)

    def accept(
        self,
        connect: Connect,
        session: Session,
        now_s: float,
        *,
        session_present: bool = False,
        response_information: str | None = None,
    ) -> list[Event]:
        """Answer CONNECT with yes; returns what the packets behind it make happen."""
        if self._state is not _State.AUTHENTICATING:
            return []
        limits = self._limits
        terms = handshake.agree(connect, limits)
        self._patience.keep_alive_s = terms.keep_alive_s * 1.5
        self._state = _State.OPEN
        answer = handshake.acceptance(connect, terms, limits, session.client_id, session_present, response_information)
        if not self._output.send(answer):
            return self.finish(Ended("protocol", "the client takes no packet as large as the answer to its CONNECT"))
        dialogue = self._dialogue = Dialogue(session, self._output, terms, limits, will=connect.will)
        return self._done([], dialogue.outbound.send_on(now_s + self._epoch_s)) + self._go_on(now_s)

    def refuse(self, code: ReasonCode, reason: str, why: str) -> list[Event]:
        """Answer CONNECT with no (3.2.2.2)."""
        if self._state is not _State.AUTHENTICATING:
            return []
        self._held.clear()
        self._output.send_explained(handshake.refusal(self._output.level, code, self._output.explain(why)))
        return self.finish(Ended(reason, why))

    def settle(self, batch: Batch, refusals: Mapping[int, Refusal]) -> list[Event]:
        """A batch is durable but for the packets with the indexes in ``refusals``; acknowledges what the order allows.

        A refused message of QoS 1 or 2 is told to a client of MQTT 5; in 3.1.1 it ends the connection, see
        `iot_system.adapters.mqtt.server`.
        """
        assert self._dialogue is not None
        self._dialogue.inbound.settle(batch, refusals, is_open=self._state is not _State.ENDED)
        if not self.tells_refusals:
            for index, refusal in refusals.items():
                if batch.publishes[index].qos:
                    return self.finish(Ended(refusal.reason, refusal.why, refusal.after_s))
        return self._ended_if_drained()

    def answer(self, codes: Sequence[ReasonCode], now_s: float) -> list[Event]:
        """Answer the last `Subscribe` or `Unsubscribe`, filter by filter; returns as `accept`."""
        assert self._dialogue is not None
        if not self._dialogue.answer_asked(codes, is_open=self._state is not _State.ENDED):
            why = "the client takes no packet as large as the answer to its filters"
            return self.finish(Ended("protocol", why, code=ReasonCode.PACKET_TOO_LARGE))
        return self._go_on(now_s)

    def deliver(self, messages: Sequence[Delivery], now_s: float) -> list[Delivery]:
        """Send or queue messages to the client; returns what is dropped: over a bound, or too large for the client.

        After the end they are queued for the session's next connection.
        """
        assert self._dialogue is not None
        if self._state not in (_State.OPEN, _State.ENDING):
            self._dialogue.outbound.is_blocked = True
        return self._dialogue.outbound.deliver(messages, now_s + self._epoch_s)

    def finish(self, ending: Ended) -> list[Event]:
        """Read no more, acknowledge what is in flight, then end."""
        if self._state is not _State.ENDED:
            self._state = _State.ENDING
            self._ending = self._ending or ending
        return self._ended_if_drained()

    def end(self) -> list[Event]:
        """Nothing more can be sent: the client is gone."""
        if self._state is _State.ENDED:
            return []
        return [self._end(self._ending or Ended("lost"))]

    def write_blocked(self, now_s: float) -> None:
        """The client does not read its answers."""
        self._patience.write_blocked(now_s)
        if self._dialogue is not None:
            self._dialogue.outbound.is_blocked = True

    def write_unblocked(self, now_s: float) -> list[Event]:
        """It reads again."""
        self._patience.write_unblocked()
        if self._dialogue is None or self._state is _State.ENDED:
            return []
        self._dialogue.outbound.is_blocked = False
        return self._done([], self._dialogue.outbound.send_on(now_s + self._epoch_s))

    def input_resumed(self, now_s: float) -> None:
        """Reading goes on after a pause of our making, which must not count against the client."""
        self._patience.resumed(now_s)

    def check_time(self, now_s: float) -> list[Event]:
        """End the connection if the client is too slow (3.1.2.10, and our own limits)."""
        if self._state is _State.ENDED:
            return []
        why = self._patience.exhausted(now_s, is_reading=self.wants_input)
        if why is None:
            return []
        if self._patience.is_write_blocked:
            return [self._end(Ended("slow_reader", why))]
        return [self._end(Ended("timeout", why, code=ReasonCode.KEEP_ALIVE_TIMEOUT))]

    @property
    def _is_holding(self) -> bool:
        """Whether nothing is looked at before the caller has answered."""
        if self._dialogue is None:
            return self._state is not _State.WAITING_FOR_CONNECT
        return self._dialogue.asked is not None

    def _handle(self, received: list[Packet], failure: MalformedPacket | None, now_s: float) -> list[Event]:
        events: list[Event] = []
        done, dropped = list[Delivery](), list[Delivery]()
        batch = Batch()
        ending: Ended | None = None
        try:
            for index, packet in enumerate(received):
                if self._is_holding:
                    self._held += received[index:]
                    break
                dialogue = self._dialogue
                if dialogue is None:
                    events += self._connect(packet)
                elif type(packet) is not Publish:
                    match dialogue.answer(packet, now_s + self._epoch_s):
                        case Acknowledged() as some:
                            done += some.messages
                            dropped += some.dropped
                        case Ended() as ending:
                            break
                        case Subscribe() | Unsubscribe() as asked:
                            batch = self._begin(batch, events)
                            events += [*self._done(done, dropped), asked]
                            done, dropped = [], []
                elif packet.properties is NO_PROPERTIES and packet.qos < 2:
                    batch.publishes.append(packet)
                else:
                    dialogue.inbound.add(batch, packet)
        except MalformedPacket as malformed:
            failure = malformed
        self._begin(batch, events)
        events += self._done(done, dropped)
        if failure is None and self._dialogue is not None:
            failure = self._dialogue.inbound.excess()
        if ending is None and failure is not None:
            ending = self._fail(failure)
        if ending is not None:
            events += self.finish(ending)
        return events

    def _connect(self, packet: Packet) -> list[Event]:
        if not isinstance(packet, Connect):
            raise ProtocolError(f"the first packet is {type(packet).__name__.upper()}, not CONNECT", "3.1")
        self._state = _State.AUTHENTICATING
        self._output.level = MQTT_3_1_1 if packet.protocol_level < MQTT_5 else MQTT_5
        self._output.tells_problems = packet.properties.request_problem_information != 0
        self._output.maximum_packet_size = packet.properties.maximum_packet_size
        if (method := packet.properties.authentication_method) is not None:
            why = f"CONNECT asks for the authentication method {method[:100]!r}; there is none"
            return self.refuse(ReasonCode.BAD_AUTHENTICATION_METHOD, "protocol", why)
        return [packet]

    def _fail(self, failure: MalformedPacket) -> Ended | None:
        """How a broken rule ends the connection; None where what came before it must be answered first."""
        if self._is_holding:
            self._held_failure = failure
            return None
        if self._dialogue is None and self._decoder.level == MQTT_5:
            self._output.level = MQTT_5
            self._output.send(handshake.refusal(MQTT_5, failure.code, NO_PROPERTIES))
        return Ended(failure.reason, str(failure), code=failure.code)

    def _begin(self, batch: Batch, events: list[Event]) -> Batch:
        """Put a batch in flight, if there is anything in it; returns the next one."""
        if batch.publishes or batch.repeats:
            assert self._dialogue is not None
            self._dialogue.inbound.begin(batch)
            if batch.publishes:
                events.append(batch)
            else:
                self._dialogue.inbound.settle(batch, {}, is_open=True)
        return Batch()

    def _go_on(self, now_s: float) -> list[Event]:
        """Look at what was held."""
        held, failure = self._held, self._held_failure
        self._held, self._held_failure = [], None
        return self._handle(held, failure, now_s) if self._state is _State.OPEN else []

    def _done(self, messages: list[Delivery], dropped: list[Delivery]) -> list[Event]:
        return [Acknowledged(messages, dropped)] if messages or dropped else []

    def _ended_if_drained(self) -> list[Event]:
        is_drained = self._dialogue is None or self._dialogue.inbound.is_drained
        if self._state is not _State.ENDING or not is_drained or self._ending is None:
            return []
        return [self._end(self._ending)]

    def _end(self, ending: Ended) -> Ended:
        self._state = _State.ENDED
        return self._dialogue.close(ending) if self._dialogue is not None else ending
