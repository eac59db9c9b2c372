"""What one connection tells the owners of its devices: durable, in order, and tried until it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import structlog

from iot_system.domain.signals import Connected, Signal
from iot_system.errors import Retry
from iot_system.ports.gateway import Gateway, Principal

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], object]
log = structlog.get_logger()


class Signalling:
    """Has a task for as long as something is to be said. ``spawn`` runs it to its end, even after the connection's."""

    def __init__(self, gateway: Gateway, principal: Principal, spawn: Spawn) -> None:
        self._gateway = gateway
        self._principal = principal
        self._spawn = spawn
        self._waiting: list[Signal] = []
        self._is_sending = False

    def say(self, signal: Signal) -> None:
        """Of several `Connected` of a device that wait together the last one counts."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(signal, Connected) and isinstance(last, Connected) and last.device == signal.device:
            self._waiting.pop()
        self._waiting.append(signal)
        if not self._is_sending:
            self._is_sending = True
            self._spawn(self._send())

    async def _send(self) -> None:
        try:
            while self._waiting:
                signals, self._waiting = self._waiting, []
                problems: list[Exception | None]
                try:
                    problems = await self._gateway.ingest(self._principal, signals)
                except Retry as error:
                    problems = [error] * len(signals)
                again = [problem for problem in problems if isinstance(problem, Retry)]
                for signal, problem in zip(signals, problems, strict=True):
                    if problem is not None and not isinstance(problem, Retry):
                        log.info("a signal is dropped", signal=type(signal).__name__, why=str(problem))
                if again:
                    kept = [one for one, problem in zip(signals, problems, strict=True) if isinstance(problem, Retry)]
                    self._waiting = kept + self._waiting
                    await asyncio.sleep(max(one.after_s for one in again))
        finally:
            self._is_sending = False
