"""Several brokers (= pods) in one test process over one nats-server, and clients without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence

from iot_system.adapters.mqtt.broker import Broker
from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.broker.router import Connecting, Router
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.adapters.nats.connection import Client, connect
from iot_system.adapters.nats.permissions import API
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.ports.broker import NEVER_EXPIRES, Message, Subscription, Will
from iot_system.ports.clock import SystemClock
from nats.js import JetStreamContext

from tests.harness.nats import NatsServer

_numbers = itertools.count(1)
DEADLINE_S = 20.0


class TurnableClock(SystemClock):
    """The machine's, plus what a test turns it on by."""

    ahead_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + int(self.ahead_s * 1e6)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class Pod:
    """One process's broker. ``crash`` cuts it off without a word."""

    def __init__(self, name: str, client: Client, limits: MqttLimits) -> None:
        self.name = name
        self.client = client
        self.backend = NatsBroker(client, SystemClock())
        self.requests = NatsRequests(client)
        self.clock = TurnableClock()
        self.broker = Broker(name, self.backend, self.requests, self.clock, limits)

    @property
    def router(self) -> Router:
        return self.broker.router

    async def connect(
        self,
        client_id: str,
        *,
        is_new: bool = False,
        expiry_s: int = NEVER_EXPIRES,
        will: Will | None = None,
        acknowledges: bool = True,
        window: int = 100,
        may_subscribe: Callable[[str], bool] = lambda filter_: True,
    ) -> PodClient:
        """A client, as if it had connected here."""
        client = PodClient(self, client_id, acknowledges=acknowledges, window=window)
        connection = f"{self.name}-{next(_numbers)}"

        async def allows(filter_: str) -> bool:
            return may_subscribe(filter_)

        client.member, client.present = await self.router.attach(
            client,
            Connecting(
                owner="o",
                client_id=client_id,
                connection=connection,
                is_new=is_new,
                expiry_s=expiry_s,
                will=will,
                may_subscribe=allows,
            ),
        )
        client.begin()
        return client


class PodClient:
    """Implements `Client`: keeps what it gets; ``window`` is its receive maximum."""

    def __init__(self, pod: Pod, client_id: str, *, acknowledges: bool, window: int) -> None:
        self.pod = pod
        self.client_id = client_id
        self.acknowledges = acknowledges
        self.window = window
        self.received: list[Delivery] = []
        self.packet_ids: list[int] = []
        self.is_taken_over = False
        self.has_failed = False
        self.present = False
        self.member: Attachment
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """What is in flight is sent again first."""
        for packet_id, message in list(self.member.session.in_flight.items()):
            self._receive(message, packet_id)
        self._send_on()

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        dropped: list[Delivery] = []
        for message in messages:
            if not message.qos:
                self._receive(message, 0)
            elif not self.member.session.queue(message, MqttLimits(), 0.0):
                dropped.append(message)
        self._send_on()
        return dropped

    def taken_over(self) -> None:
        self.is_taken_over = True
        self._changed.set()

    def failed(self) -> None:
        self.has_failed = True
        self._changed.set()

    def acknowledge(self, *packet_ids: int) -> None:
        """PUBACK."""
        for packet_id in packet_ids:
            message = self.member.session.acknowledge(packet_id)
            if message is not None:
                self.pod.router.acknowledged(self.member, [message])
        self._send_on()
        self._changed.set()

    def payloads(self) -> list[bytes]:
        return [one.payload for one in self.received]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what comes to this client to make ``condition`` true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def get(self, *payloads: bytes) -> None:
        """Wait until exactly these have come, in this order."""
        await self.until(lambda: len(self.received) >= len(payloads))
        assert self.payloads() == list(payloads)
        if self.acknowledges:
            await self.until(lambda: not self.member.session.in_flight)

    async def subscribe(self, *subscriptions: Subscription) -> None:
        await self.pod.router.subscribe(self.member, subscriptions)

    async def publish(self, *messages: Message) -> None:
        outcomes = await self.pod.router.publish(self.member, messages)
        assert outcomes == [None] * len(messages)

    def leave(self, *, with_will: bool = False) -> None:
        self.pod.router.detach(self.member, with_will=with_will)

    def _send_on(self) -> None:
        session = self.member.session
        while len(session.in_flight) < self.window and (taken := session.take(0.0)) is not None:
            packet_id, message = taken
            self._receive(message, packet_id)

    def _receive(self, message: Delivery, packet_id: int) -> None:
        self.received.append(message)
        self.packet_ids.append(packet_id)
        self._changed.set()
        if packet_id and self.acknowledges:
            asyncio.get_running_loop().call_soon(self.acknowledge, packet_id)


class Pods:
    """Makes pods, and ends them after the test."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self._administrator: Client | None = None
        self._stack = contextlib.AsyncExitStack()
        self._crashed: set[str] = set()

    async def start(self, name: str, limits: MqttLimits | None = None, *, answers: bool = True) -> Pod:
        """One that does not answer leaves the requests of the others alone."""
        client = await connect(self._server.settings(API), name=name)
        self._stack.push_async_callback(client.close)
        pod = Pod(name, client, limits or MqttLimits())
        await pod.backend.start()
        if answers:
            await pod.broker.start()
        await pod.requests.alive(name)
        self._stack.push_async_callback(self.stop, pod)
        return pod

    async def administrator(self) -> JetStreamContext:
        """Streams, as somebody who may do everything with them."""
        if self._administrator is None:
            self._administrator = await connect(self._server.settings(), name="administrator")
            self._stack.push_async_callback(self._administrator.close)
        return self._administrator.jetstream()

    async def crash(self, pod: Pod) -> None:
        """End it without a word to the others: nothing of it reaches the broker any more."""
        self._crashed.add(pod.name)
        await pod.client.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await pod.broker.stop()

    async def stop(self, pod: Pod) -> None:
        if pod.name in self._crashed:
            return
        async with asyncio.timeout(DEADLINE_S):
            await pod.broker.stop()

    async def close(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def pods_on(server: NatsServer) -> AsyncIterator[Pods]:
    pods = Pods(server)
    try:
        yield pods
    finally:
        await pods.close()
