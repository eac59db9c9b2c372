"""One connection: carries bytes between a transport and the state machine, and what it asks for to where it is done."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from iot_system.adapters.mqtt.admission import NotAdmitted, attach, authenticate, check_connect
from iot_system.adapters.mqtt.admitted import Admitted
from iot_system.adapters.mqtt.common import Common
from iot_system.adapters.mqtt.connection import Connection
from iot_system.adapters.mqtt.events import Acknowledged, Ended, Event
from iot_system.adapters.mqtt.inbound import Batch
from iot_system.adapters.mqtt.observing import BYTES, DROPPED, MESSAGES
from iot_system.adapters.mqtt.packets import Connect, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Delivery
from iot_system.adapters.tls.certificates import certificate_of
from iot_system.ports.gateway import Principal

_QOS_0, _QOS_1, _QOS_2 = (MESSAGES.labels(qos) for qos in "012")
_WORDS = {
    "disconnect": "clean",
    "timeout": "keep-alive",
    "taken_over": "taken over",
    "lost": "network",
    "slow_reader": "slow",
    "quota": "slow",
    "revoked": "revoked",
    "shutdown": "shutdown",
}
"""Why a connection ended, as the owner of its device is told; whatever else it is: protocol."""


class MqttProtocol(asyncio.Protocol):
    """Implements `iot_system.adapters.mqtt.clients.Client`, and the broker's."""

    _transport: asyncio.Transport

    def __init__(self, common: Common) -> None:
        self._common = common
        self._limits = common.limits
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        self._connection = Connection(common.limits, now_s, epoch_s=time.time() - now_s)
        self._principal: Principal | None = None
        self._admitted: Admitted | None = None
        self._host = ""
        self._peer = ""
        self._end_watch: Callable[[], None] | None = None
        self._is_reading = True
        self._is_half_closed = False
        self._closing_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have no base class of asyncio's
        self._host, self._peer = _address(transport.get_extra_info("peername"))
        clients = self._common.clients
        if len(clients) >= self._limits.connections:
            self._refuse("connections", f"there are {len(clients)} connections, the limit")
            self._transport.abort()
        sock = transport.get_extra_info("socket")
        if sock is not None:  # A client without keep-alive that vanishes is found by TCP.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        for event in self._connection.end():
            if isinstance(event, Ended):
                self._leave(event)
        if self._end_watch is not None:
            self._end_watch()
        self._common.budget.forget(self._adjust_reading)
        self._common.clients.remove(self)

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

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        """See `iot_system.adapters.mqtt.broker.attachment.Client.deliver`."""
        if self._connection.session is None:  # it ended by its CONNACK
            return []
        dropped = self._connection.deliver(messages, self._loop.time())
        DROPPED.inc(sum(not one.qos for one in dropped))
        self._write()
        return dropped

    def taken_over(self) -> None:
        """See `iot_system.adapters.mqtt.broker.attachment.Client.taken_over`."""
        why = "the same client identifier has connected again"
        self.finish(Ended("taken_over", why, code=ReasonCode.SESSION_TAKEN_OVER))

    def failed(self) -> None:
        """See `iot_system.adapters.mqtt.broker.attachment.Client.failed`."""
        self._refuse("error", "the server failed")
        self._transport.abort()

    def _handle(self, events: list[Event]) -> None:
        """Do what the state machine asks for, send what it has to say, read on if it wants to."""
        ended: Ended | None = None
        for event in events:
            match event:
                case Batch():
                    self._common.budget.take(event.size)
                    self._run(self._store(event))
                case Connect():
                    self._run(self._admit(event))
                case Subscribe():
                    self._run(self._subscribe(event))
                case Unsubscribe():
                    self._run(self._unsubscribe(event))
                case Acknowledged(messages, dropped):
                    assert self._admitted is not None
                    self._admitted.acknowledged(messages, dropped)
                case Ended():
                    ended = event
        self._write()
        if ended is not None:
            self._end(ended)
        else:
            self._adjust_reading()

    def _write(self) -> None:
        if not self._transport.is_closing() and (output := self._connection.output()):
            self._transport.write(output)

    async def _admit(self, connect: Connect) -> None:
        common = self._common
        try:
            check_connect(connect)
            principal = await authenticate(common.gateway, connect, self._host, certificate_of(self._transport))
            if self._transport.is_closing():
                return
            self._principal = principal
            self._end_watch = common.gateway.watch(principal, self._revoked)
            member, is_present = await attach(common, self, connect, principal)
        except NotAdmitted as refusal:
            self._handle(self._connection.refuse(refusal.code, refusal.reason, str(refusal)))
            return
        # Nothing may be awaited from here until it is let in: messages come already.
        admitted = Admitted(common, principal, member, on_slow=self._slow)
        events = self._connection.accept(connect, member.session, self._loop.time(), session_present=is_present)
        if self._connection.session is None:
            admitted.end("network", with_will=False)
        else:
            self._admitted = admitted
            admitted.begin()
        self._handle(events)

    async def _subscribe(self, subscribe: Subscribe) -> None:
        assert self._admitted is not None
        codes, then = await self._admitted.subscribe(subscribe)
        self._handle(self._connection.answer(codes, self._loop.time()))
        then()

    async def _unsubscribe(self, unsubscribe: Unsubscribe) -> None:
        assert self._admitted is not None
        codes = await self._admitted.unsubscribe(unsubscribe)
        self._handle(self._connection.answer(codes, self._loop.time()))

    async def _store(self, batch: Batch) -> None:
        assert self._admitted is not None
        publishes = batch.publishes
        with_qos_2 = len(batch.ids)
        with_qos_1 = sum([one.qos for one in publishes]) - 2 * with_qos_2
        _QOS_2.inc(with_qos_2)
        _QOS_1.inc(with_qos_1)
        _QOS_0.inc(len(publishes) - with_qos_1 - with_qos_2)
        try:
            refusals = await self._admitted.store(batch)
        finally:
            self._common.budget.give_back(batch.size)
        for index, refusal in refusals.items():
            if not publishes[index].qos:
                self._refuse(refusal.reason, f"QoS 0, dropped: {refusal.why}")
            elif self._connection.tells_refusals:
                self._refuse(refusal.reason, f"refused: {refusal.why}")
        self._handle(self._connection.settle(batch, refusals))

    def _revoked(self, why: str) -> None:
        self.finish(Ended("revoked", why, code=ReasonCode.ADMINISTRATIVE_ACTION))

    def _slow(self, why: str) -> None:
        self.finish(Ended("quota", why, code=ReasonCode.QUOTA_EXCEEDED))

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        self._common.spawn(step).add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():  # which is logged
            self.failed()

    def _leave(self, ended: Ended) -> None:
        if self._admitted is not None:
            self._admitted.end(_WORDS.get(ended.reason, "protocol"), with_will=ended.will is not None)

    def _end(self, ended: Ended) -> None:
        self._leave(ended)
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
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client has reset the connection, and we are not told yet
            self._transport.abort()
            return
        self._is_half_closed = True
        self._adjust_reading()

    def _adjust_reading(self) -> None:
        wants_input = self._is_half_closed or self._connection.wants_input
        budget = self._common.budget
        if wants_input and not self._is_half_closed and budget.is_spent:
            budget.wait(self._adjust_reading)
            wants_input = False
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
        self._common.refusals.tell(reason, why, device=device, client=self._peer)


def _address(peer: object) -> tuple[str, str]:
    """The host, and the host with its port."""
    match peer:
        case (str(host), int(port), *_):
            return host, f"{host}:{port}"
        case _:
            return "", "unknown"
