"""One TCP connection: carries bytes between asyncio and the state machine, and what it asks for to the gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, cast
from uuid import uuid4

import structlog

from iot_system.adapters.mqtt.admission import NotAdmitted, authenticate, check_connect
from iot_system.adapters.mqtt.clients import Clients
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.events import Ended, Event
from iot_system.adapters.mqtt.inbound import Batch
from iot_system.adapters.mqtt.intake import Intake
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.observing import BYTES, MESSAGES, Refusals
from iot_system.adapters.mqtt.packets import Connect, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Session
from iot_system.adapters.mqtt.subscribing import refused_filters, unsubscribed
from iot_system.adapters.mqtt.topics import is_own
from iot_system.ports.gateway import Gateway, Principal

log = structlog.get_logger()
_QOS_0, _QOS_1, _QOS_2 = (MESSAGES.labels(qos) for qos in "012")


class MqttProtocol(asyncio.Protocol):
    """Implements `iot_system.adapters.mqtt.clients.Client`."""

    _transport: asyncio.Transport

    def __init__(
        self, gateway: Gateway, limits: MqttLimits, clients: Clients, refusals: Refusals, tasks: set[asyncio.Task[None]]
    ) -> None:
        self._gateway = gateway
        self._limits = limits
        self._clients = clients
        self._refusals = refusals
        self._tasks = tasks
        self._intake = Intake(gateway, limits.refusal_pause_s)
        self._loop = asyncio.get_running_loop()
        self._connection = Connection(limits, self._loop.time())
        self._principal: Principal | None = None
        self._client_id = ""
        self._host = ""
        self._peer = ""
        self._end_watch: Callable[[], None] | None = None
        self._is_reading = True
        self._is_half_closed = False
        self._closing_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have no base class of asyncio's
        self._host, self._peer = _address(transport.get_extra_info("peername"))
        if len(self._clients) >= self._limits.connections:
            self._refuse("connections", f"there are {len(self._clients)} connections, the limit")
            self._transport.abort()
        sock = transport.get_extra_info("socket")
        if sock is not None:  # A client without keep-alive that vanishes is found by TCP.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self._clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.end()
        if self._end_watch is not None:
            self._end_watch()
        self._clients.remove(self, self._principal.owner if self._principal else "", self._client_id)

    def data_received(self, data: bytes) -> None:
        BYTES.inc(len(data))
        self._handle(self._connection.receive(data, self._loop.time()))

    def pause_writing(self) -> None:
        self._connection.write_blocked(self._loop.time())
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._handle(self._connection.write_unblocked(self._loop.time()))

    def finish(self, ending: Ended) -> None:
        """See `iot_system.adapters.mqtt.clients.Client.finish`."""
        self._handle(self._connection.finish(ending))

    def check_time(self, now_s: float) -> None:
        """See `iot_system.adapters.mqtt.clients.Client.check_time`."""
        if self._closing_s is None:
            self._handle(self._connection.check_time(now_s))
        elif now_s - self._closing_s > self._limits.linger_s:
            self._transport.abort()

    def abort(self) -> None:
        """See `iot_system.adapters.mqtt.clients.Client.abort`."""
        self._transport.abort()

    def _handle(self, events: list[Event]) -> None:
        """Do what the state machine asks for, send what it has to say, read on if it wants to."""
        ended: Ended | None = None
        for event in events:
            match event:
                case Batch():
                    self._run(self._store(event))
                case Connect():
                    self._run(self._admit(event))
                case Subscribe():
                    self._run(self._subscribe(event))
                case Unsubscribe():
                    self._run(self._unsubscribe(event))
                case Ended():
                    ended = event
        if not self._transport.is_closing() and (output := self._connection.output()):
            self._transport.write(output)
        if ended is not None:
            self._end(ended)
        else:
            self._adjust_reading()

    async def _admit(self, connect: Connect) -> None:
        try:
            check_connect(connect)
            principal = await authenticate(self._gateway, connect, self._host)
        except NotAdmitted as refusal:
            self._handle(self._connection.refuse(refusal.code, refusal.reason, str(refusal)))
            return
        if self._transport.is_closing():
            return
        self._principal, self._client_id = principal, connect.client_id
        self._end_watch = self._gateway.watch(principal, self._revoked)
        if connect.client_id:
            self._clients.name(self, principal.owner, connect.client_id)
        session = Session(connect.client_id or uuid4().hex, uuid4().hex)
        self._handle(self._connection.accept(connect, session, self._loop.time()))

    def _revoked(self, why: str) -> None:
        self.finish(Ended("revoked", why, code=ReasonCode.ADMINISTRATIVE_ACTION))

    async def _subscribe(self, subscribe: Subscribe) -> None:
        session = self._connection.session
        assert self._principal is not None
        assert session is not None
        codes: list[ReasonCode] = []
        refused = refused_filters(session, subscribe, self._limits)
        for index, (filter_, options) in enumerate(subscribe.filters):
            if index in refused:
                codes.append(refused[index])
            elif is_own(filter_, self._principal):
                codes.append(ReasonCode(min(options.qos, 1)))
            else:
                codes.append(ReasonCode.NOT_AUTHORIZED)
        self._handle(self._connection.answer(codes, self._loop.time()))

    async def _unsubscribe(self, unsubscribe: Unsubscribe) -> None:
        session = self._connection.session
        assert session is not None
        codes = unsubscribed(session, unsubscribe)
        self._handle(self._connection.answer(codes, self._loop.time()))

    async def _store(self, batch: Batch) -> None:
        assert self._principal is not None
        publishes = batch.publishes
        with_qos_2 = len(batch.ids)
        with_qos_1 = sum([one.qos for one in publishes]) - 2 * with_qos_2
        _QOS_2.inc(with_qos_2)
        _QOS_1.inc(with_qos_1)
        _QOS_0.inc(len(publishes) - with_qos_1 - with_qos_2)
        refusals = await self._intake.store(self._principal, publishes)
        for index, refusal in refusals.items():
            if not publishes[index].qos:
                self._refuse(refusal.reason, f"QoS 0, dropped: {refusal.why}")
            elif self._connection.tells_refusals:
                self._refuse(refusal.reason, f"refused: {refusal.why}")
        self._handle(self._connection.settle(batch, refusals))

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(step)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("mqtt connection failed", client=self._peer, exc_info=error)
            self._refuse("error", "the server failed")
            self._transport.abort()

    def _end(self, ended: Ended) -> None:
        if ended.why is not None:
            self._refuse(ended.reason, ended.why)
        if ended.reason == "slow_reader":
            self._transport.abort()
        elif ended.after_s:
            self._closing_s = self._loop.time() + ended.after_s
            self._loop.call_later(ended.after_s, self._close)
            self._adjust_reading()
        else:
            self._close()

    def _close(self) -> None:
        """Close so that the last answer arrives: closing with unread input would reset the connection and destroy it.

        So only our side is closed at first; the client closes its own, or `check_time` cuts it off.
        """
        if self._transport.is_closing():
            return
        self._closing_s = self._loop.time()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._is_half_closed = True
            self._adjust_reading()
        else:
            self._transport.close()

    def _adjust_reading(self) -> None:
        wants_input = self._is_half_closed or self._connection.wants_input
        if wants_input is self._is_reading or self._transport.is_closing():
            return
        self._is_reading = wants_input
        if wants_input:
            self._connection.input_resumed(self._loop.time())
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _refuse(self, reason: str, why: str) -> None:
        device = self._principal.id if self._principal else None
        self._refusals.tell(reason, why, device=device, client=self._peer)


def _address(peer: object) -> tuple[str, str]:
    """The host, and the host with its port."""
    match peer:
        case (str(host), int(port), *_):
            return host, f"{host}:{port}"
        case _:
            return "", "unknown"
