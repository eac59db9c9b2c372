"""What all connections of one server have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from iot_system.adapters.mqtt.applications import Applications
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.adapters.mqtt.budget import Budget
from iot_system.adapters.mqtt.clients import Clients
from iot_system.adapters.mqtt.downlink import Downlink
from iot_system.adapters.mqtt.intake import Intake
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.observing import MqttRefusals
from iot_system.domain.deliveries import Delivery
from iot_system.errors import Retry
from iot_system.ports.gateway import Gateway

log = structlog.get_logger()


class Follower(Protocol):
    """A connection that has subscribed to what is another device's."""

    async def recheck(self, device: str) -> None:
        """The registration of ``device`` has changed: it may no longer be the gateway's."""
        ...


class Common:
    """``downlinks`` are by connection, ``tasks`` whatever outlives the call that began it."""

    def __init__(self, gateway: Gateway, router: Router, limits: MqttLimits) -> None:
        self.gateway = gateway
        self.router = router
        self.limits = limits
        self.clients = Clients()
        self.refusals = MqttRefusals(asyncio.get_running_loop().time)
        self.budget = Budget(limits.process_bytes)
        self.intake = Intake(gateway, limits.refusal_pause_s)
        self.applications = Applications(gateway, router, limits.refusal_pause_s)
        self.downlinks: dict[str, Downlink] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.naming: dict[str, set[Follower]] = {}
        """Connections by the devices that they have subscribed to as their gateway."""
        self._rechecking: asyncio.Task[None] | None = None
        gateway.on_delivery(self._deliver)
        gateway.on_registration(self._registration_changed)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run to the end, which the server's stop waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("mqtt server failed", exc_info=error)

    def recheck(self) -> None:
        """Look at all subscriptions to other devices, as far as the last look is over."""
        if self.naming and (self._rechecking is None or self._rechecking.done()):
            self._rechecking = self.spawn(self._recheck())

    async def _recheck(self) -> None:
        for device in list(self.naming):
            for one in list(self.naming.get(device, ())):
                await one.recheck(device)

    def _registration_changed(self, device: str) -> None:
        for one in self.naming.get(device, ()):
            self.spawn(one.recheck(device))

    def _deliver(self, delivery: Delivery) -> None:
        downlink = self.downlinks.get(delivery.connection)
        if downlink is None:
            return  # it is over
        if delivery.device == downlink.device:
            downlink.deliver(delivery)
        else:
            self.spawn(self._deliver_assigned(downlink, delivery))

    async def _deliver_assigned(self, downlink: Downlink, delivery: Delivery) -> None:
        """Since the gateway subscribed, the device may have been given to another one. What is not sent comes again."""
        try:
            device = await self.gateway.registered(delivery.device)
        except Retry as error:
            log.warning("a delivery is dropped", device=delivery.device, why=str(error))
            return
        if device is not None and device.gateway == downlink.device:
            downlink.deliver(delivery)
