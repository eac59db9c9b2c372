"""Messages from a client: what is stored, and what it is answered, in the order of the packets (4.6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from iot_system.adapters.mqtt.encoding import encode_pubacks
from iot_system.adapters.mqtt.limits import TOPIC_BYTES, MqttLimits
from iot_system.adapters.mqtt.malformed import MalformedPacket, ProtocolError, ReceiveMaximumExceeded, TopicAliasInvalid
from iot_system.adapters.mqtt.output import Output
from iot_system.adapters.mqtt.packets import MQTT_5, PubAck, PubComp, Publish, PubRec
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, weight
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Received, Session


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is not stored: one of few words, a sentence, and the seconds that a sender should wait.

    ``code`` is what a client of MQTT 5 is told. Where it is not final, the message may be stored in spite of it.
    """

    reason: str
    why: str
    after_s: float
    code: ReasonCode = ReasonCode.UNSPECIFIED_ERROR
    is_final: bool = True


class Batch:
    """PUBLISH packets that arrived together, in their order; ``ids`` has those of QoS 2 by index, see `Session`."""

    __slots__ = ("ids", "is_settled", "publishes", "refusals", "repeats", "size", "with_qos_1")

    def __init__(self) -> None:
        self.publishes: list[Publish] = []
        self.ids: dict[int, str] = {}
        self.repeats: dict[int, list[int]] = {}
        """Packet identifiers of QoS 2 that came again before the message with this index: answered, not stored."""
        self.size = 0
        self.with_qos_1 = 0
        self.is_settled = False
        self.refusals: Mapping[int, Refusal] = {}


class Inbound:
    """One connection's messages of all three QoS, from the packet to its acknowledgement."""

    def __init__(self, session: Session, output: Output, limits: MqttLimits) -> None:
        self.messages = 0
        self.size = 0
        """Bytes of messages that are not settled, as ``messages`` is their number."""
        self._session = session
        self._output = output
        self._limits = limits
        self._is_v5 = output.level == MQTT_5
        self._batches: deque[Batch] = deque()
        self._aliases: dict[int, str] = {}
        self._published: set[int] = set()
        """Packet identifiers of QoS 2 that came on this connection and are not released."""
        self._storing: set[int] = set()
        self._with_qos_1 = 0

    @property
    def is_drained(self) -> bool:
        return not self._batches

    def add(self, batch: Batch, publish: Publish) -> None:
        """Put a message that has properties, or QoS 2, into a batch; any other may be appended to ``publishes``.

        Raises `ProtocolError`.
        """
        if publish.properties is not NO_PROPERTIES:
            publish = self._resolve(publish)
            batch.size += weight(publish.properties)
        if publish.qos == 2:
            self._add_qos_2(batch, publish)
        else:
            batch.publishes.append(publish)

    def begin(self, batch: Batch) -> None:
        """A batch is complete."""
        publishes = batch.publishes
        batch.size += sum([len(one.topic) + len(one.payload) for one in publishes])
        self._batches.append(batch)
        self.messages += len(publishes)
        self.size += batch.size
        if self._is_v5:
            batch.with_qos_1 = sum([one.qos == 1 for one in publishes])
            self._with_qos_1 += batch.with_qos_1

    def excess(self) -> MalformedPacket | None:
        """What is wrong where the client exceeds the receive maximum [MQTT-3.3.4-7].

        3.1.1 has none, but what a session holds has a bound there too.
        """
        limit = self._limits.receive_maximum
        count = self._with_qos_1 + len(self._published) if self._is_v5 else len(self._session.inbound)
        if count <= limit:
            return None
        return ReceiveMaximumExceeded(f"{count} messages are not acknowledged; the limit is {limit}", "3.3.4")

    def settle(self, batch: Batch, refusals: Mapping[int, Refusal], *, is_open: bool) -> None:
        """Answer what the order allows now; while the connection is not ``is_open``, only the session learns of it."""
        batch.refusals = refusals
        batch.is_settled = True
        while self._batches and self._batches[0].is_settled:
            done = self._batches.popleft()
            self.messages -= len(done.publishes)
            self.size -= done.size
            self._answer(done, is_open)

    def release(self, packet_id: int) -> None:
        """Answer PUBREL (4.3.3)."""
        known = self._session.inbound.pop(packet_id, None)
        self._published.discard(packet_id)
        code = ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
        self._output.send(PubComp(packet_id, code))

    def _resolve(self, publish: Publish) -> Publish:
        """The message with its topic instead of its topic alias (3.3.2.3.4)."""
        if publish.properties.subscription_identifier:
            raise ProtocolError("a client's PUBLISH has a subscription identifier", "3.3.4")
        alias = publish.properties.topic_alias
        if alias is None:
            return publish
        if alias > self._limits.topic_aliases:
            why = f"the topic alias is {alias}; the maximum is {self._limits.topic_aliases}"
            raise TopicAliasInvalid(why, "3.3.2.3.4")
        if publish.topic:
            self._aliases[alias] = publish.topic if len(publish.topic) <= TOPIC_BYTES else ""
        topic = publish.topic or self._aliases.get(alias)
        if not topic:
            raise ProtocolError(f"the topic alias {alias} stands for no topic", "3.3.2.3.4")
        properties = msgspec.structs.replace(publish.properties, topic_alias=None)
        return msgspec.structs.replace(publish, topic=topic, properties=properties)

    def _add_qos_2(self, batch: Batch, publish: Publish) -> None:
        """A message that came before is not stored again.

        One that is told by an earlier connection alone, and has no DUP flag, is a new one [MQTT-3.3.1-1]: that the old
        one was released got lost.
        """
        packet_id, inbound = publish.packet_id, self._session.inbound
        index = len(batch.publishes)
        known = inbound.get(packet_id)
        is_repeat = known is not None and (packet_id in self._published or publish.dup)
        self._published.add(packet_id)
        if known is not None and is_repeat and (known.is_stored or packet_id in self._storing):
            batch.repeats.setdefault(index, []).append(packet_id)
            return
        if known is None or not is_repeat:
            inbound[packet_id] = known = Received(self._session.new_message_id(publish.topic))
        self._storing.add(packet_id)
        batch.ids[index] = known.message_id
        batch.publishes.append(publish)

    def _answer(self, batch: Batch, is_open: bool) -> None:
        publishes, refusals = batch.publishes, batch.refusals
        self._with_qos_1 -= batch.with_qos_1
        if not batch.ids and not batch.repeats and not (self._is_v5 and refusals):
            if is_open:
                self._send_pubacks(
                    [one.packet_id for index, one in enumerate(publishes) if one.qos and index not in refusals]
                )
            return
        together: list[int] = []
        for index in range(len(publishes) + 1):
            for packet_id in batch.repeats.get(index, ()):
                self._send_pubacks(together)
                self._answer_repeat(packet_id, is_open)
            if index == len(publishes):
                break
            publish, refusal = publishes[index], refusals.get(index)
            if publish.qos == 2:
                self._send_pubacks(together)
                self._answer_qos_2(publish.packet_id, batch.ids[index], refusal, is_open)
            elif publish.qos and is_open:
                if refusal is None:
                    together.append(publish.packet_id)
                elif self._is_v5:
                    self._send_pubacks(together)
                    why = self._output.explain(refusal.why)
                    self._output.send_explained(PubAck(publish.packet_id, refusal.code, why))
        self._send_pubacks(together)

    def _answer_qos_2(self, packet_id: int, message_id: str, refusal: Refusal | None, is_open: bool) -> None:
        known = self._session.inbound.get(packet_id)
        is_same = known is not None and known.message_id == message_id
        if is_same:
            self._storing.discard(packet_id)
        if refusal is None:
            if is_same:
                self._session.inbound[packet_id] = Received(message_id, is_stored=True)
            if is_open:
                self._output.send(PubRec(packet_id))
            return
        if is_same and (self._is_v5 or refusal.is_final):
            # Else the client, which is not told, sends it again: it must be stored under the same id.
            del self._session.inbound[packet_id]
            self._published.discard(packet_id)
        if is_open and self._is_v5:
            self._output.send_explained(PubRec(packet_id, refusal.code, self._output.explain(refusal.why)))

    def _answer_repeat(self, packet_id: int, is_open: bool) -> None:
        """Where the message itself was refused, that answer counts for its repetition too."""
        if is_open and packet_id in self._session.inbound:
            self._output.send(PubRec(packet_id))

    def _send_pubacks(self, packet_ids: list[int]) -> None:
        if packet_ids:
            self._output.append(encode_pubacks(packet_ids))
            packet_ids.clear()
