"""Mutated conversations: whatever comes, a connection goes on or ends, in order and within its bounds.

``FUZZ_MUTATIONS`` is how many are tried, for a longer run.
"""

from __future__ import annotations

import gc
import os
import random
import time
import tracemalloc
from collections import Counter

import pytest
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.events import Acknowledged, Ended, Event
from iot_system.adapters.mqtt.inbound import Batch, Refusal
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Connect, Packet, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Delivery, Session
from iot_system.adapters.mqtt.subscribing import refused_filters, unsubscribed

from tests.unit.mqtt.conversations import LEVELS, conversation, mutated

MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "20000"))
WITHIN_S = 60.0 + MUTATIONS / 200
"""Of processor time: many times what it takes."""
GROWTH_LIMIT = 2 * 1024 * 1024
LIMITS = MqttLimits(
    payload_bytes=4096,
    in_flight_messages=8,
    in_flight_bytes=2048,
    receive_maximum=4,
    topic_aliases=2,
    queued_messages=4,
    queued_bytes=1024,
    subscriptions=4,
)
REFUSED = Refusal("payload", "it is bad", 0.0, ReasonCode.PAYLOAD_FORMAT_INVALID)


class Server:
    """Answers whatever a connection asks for, at random, and holds it to its laws."""

    def __init__(self, chance: random.Random, session: Session) -> None:
        self.session = session
        self.is_over = False
        self._chance = chance
        self._connection = Connection(LIMITS, 0.0)
        self._batches: list[Batch] = []
        self._filters: set[str] = set()
        self._sent = bytearray()

    def receive(self, data: bytes) -> None:
        """Take bytes, and let some time pass in which answers are given in any order."""
        self._handle(self._connection.receive(data, 0.0))
        self._settle()
        self._check()

    def finish(self) -> None:
        """Answer what is left; everything that was ever sent must be packets."""
        self._handle(self._connection.end())
        while self._batches:
            self._settle()
        packets: list[Packet] = []
        decoder = Decoder(1 << 20, 1 << 20, MQTT_5 if self._connection.tells_refusals else MQTT_3_1_1)
        decoder.feed(bytes(self._sent), packets)
        assert not decoder.is_inside_packet

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            assert not self.is_over, "nothing happens after the end"
            match event:
                case Connect():
                    self._admit(event)
                case Batch():
                    assert event.publishes
                    self._batches.append(event)
                case Subscribe():
                    refused = refused_filters(self._filters, event, LIMITS)
                    asked = list(enumerate(event.filters))
                    codes = [refused.get(index, ReasonCode(min(options.qos, 1))) for index, (_, options) in asked]
                    granted = [filter_ for index, (filter_, _) in asked if index not in refused]
                    self._filters.update(granted)
                    self._handle(self._connection.answer(codes, 0.0))
                case Unsubscribe():
                    self._handle(self._connection.answer(unsubscribed(self._filters, event), 0.0))
                case Acknowledged(messages, dropped):
                    assert messages or dropped
                case Ended():
                    self.is_over = True
        self._sent += self._connection.output()

    def _admit(self, connect: Connect) -> None:
        if connect.protocol_level not in LEVELS or self._chance.random() < 0.05:
            self._handle(self._connection.refuse(ReasonCode.NOT_AUTHORIZED, "word", "no"))
            return
        self._handle(self._connection.accept(connect, self.session, 0.0, session_present=True))
        if self._connection.session is None:
            return
        deliveries = [Delivery("app/x", b"x" * self._chance.randrange(300), qos) for qos in (0, 1, 1, 1, 1)]
        dropped = self._connection.deliver(deliveries, 0.0)
        assert len(dropped) <= len(deliveries) + len(self.session.pending)

    def _settle(self) -> None:
        self._chance.shuffle(self._batches)
        while self._batches:
            batch = self._batches.pop()
            refusals = {index: REFUSED for index in range(len(batch.publishes)) if self._chance.random() < 0.1}
            self._handle(self._connection.settle(batch, refusals))

    def _check(self) -> None:
        session = self.session
        assert len(session.in_flight) + len(session.pending) <= LIMITS.queued_messages
        assert len(self._filters) <= LIMITS.subscriptions
        assert session.queued_bytes == sum(one.size for one in [*session.in_flight.values(), *session.pending])
        assert len(session.inbound) <= 64, "the receive maximum, and what one piece of input can hold beyond it"


@pytest.mark.timeout(WITHIN_S * 10)
def test_mutated_conversations_end_their_own_connection_or_nothing() -> None:
    chance = random.Random(20_190_307)
    outcomes: Counter[bool] = Counter()
    session = Session("client", "s")
    started_s = time.process_time()
    for number in range(MUTATIONS):
        data = mutated(conversation(LEVELS[number % 2], chance), chance)
        if number % 10 == 0:
            session = Session("client", "s")
        server = Server(chance, session)
        cut = chance.randrange(len(data) + 1)
        server.receive(data[:cut])
        if not server.is_over:
            server.receive(data[cut:])
        outcomes[server.is_over] += 1
        server.finish()
    assert time.process_time() - started_s < WITHIN_S
    assert min(outcomes[True], outcomes[False]) > MUTATIONS // 20, "they must neither all be harmless nor all hopeless"


def test_what_a_connection_has_cost_is_free_when_it_is_gone() -> None:
    chance = random.Random(5)

    def converse(count: int) -> None:
        for number in range(count):
            server = Server(chance, Session("client", "s"))
            server.receive(mutated(conversation(LEVELS[number % 2], chance), chance))
            server.finish()

    converse(200)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        converse(1000)
        gc.collect()  # whose thresholds another test of the process may have raised
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH_LIMIT
