"""From PUBLISH packets to stored telemetry, with a reason for each packet that is not stored.

A packet is one thing: a list of messages of which one is refused is refused as a whole, before any of it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from iot_system.adapters.mqtt.inbound import Refusal
from iot_system.adapters.mqtt.packets import Publish
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.topics import telemetry_device
from iot_system.domain.readings import JSON_DEPTH_LIMIT, Telemetry, parse_telemetry
from iot_system.errors import (
    Forbidden,
    InvalidInput,
    IotError,
    NotFound,
    Overloaded,
    Retry,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from iot_system.ports.gateway import Gateway, Principal, resolve_me

_REASONS: tuple[tuple[type[Exception], str, ReasonCode], ...] = (
    (TooLarge, "too_large", ReasonCode.PAYLOAD_FORMAT_INVALID),
    (InvalidInput, "payload", ReasonCode.PAYLOAD_FORMAT_INVALID),
    (NotFound, "not_found", ReasonCode.TOPIC_NAME_INVALID),
    (Forbidden, "forbidden", ReasonCode.NOT_AUTHORIZED),
    (Unauthenticated, "unauthenticated", ReasonCode.NOT_AUTHORIZED),
    (Overloaded, "overloaded", ReasonCode.QUOTA_EXCEEDED),
    (Unavailable, "unavailable", ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR),
)
_UNFORESEEN = ("error", ReasonCode.UNSPECIFIED_ERROR)
_decode = msgspec.json.Decoder().decode


class Intake:
    """Stores what clients publish; ``pause_s`` is the wait advised to the sender of a refused message."""

    def __init__(self, gateway: Gateway, pause_s: float) -> None:
        self._gateway = gateway
        self._pause_s = pause_s

    async def store(self, principal: Principal, publishes: Sequence[Publish]) -> dict[int, Refusal]:
        """Returns when each packet is durable or refused: the refused ones by index."""
        refusals: dict[int, Refusal] = {}
        messages: list[Telemetry] = []
        owners: list[int] = []
        for index, publish in enumerate(publishes):
            try:
                device = resolve_me(telemetry_device(publish.topic), principal)
            except IotError as error:
                refusals[index] = Refusal("topic", str(error), self._pause_s, ReasonCode.TOPIC_NAME_INVALID)
                continue
            try:
                self._read(device, publish.payload, messages)
            except InvalidInput as error:
                refusals[index] = self._refusal(error)
            owners += [index] * (len(messages) - len(owners))
        if not messages:
            return refusals
        results: list[Exception | None]
        try:
            results = await self._gateway.ingest(principal, messages)
        except Retry as error:
            results = [error] * len(messages)
        for owner, problem in zip(owners, results, strict=True):
            if problem is not None:
                refusals.setdefault(owner, self._refusal(problem))
        return refusals

    def _read(self, device: str, payload: bytes, into: list[Telemetry]) -> None:
        """Append all messages of a payload, or none. Raises `InvalidInput`."""
        try:
            body = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the payload cannot be decoded: {error}") from None
        except RecursionError:
            raise InvalidInput(f"the payload is nested too deeply; the limit is {JSON_DEPTH_LIMIT} levels") from None
        now_us = self._gateway.now_us
        if not isinstance(body, list):
            into.append(parse_telemetry(device, body, now_us=now_us()))
            return
        if not body:
            raise InvalidInput("the payload is an empty list; it bears at least one message")
        into += [parse_telemetry(device, one, now_us=now_us()) for one in body]

    def _refusal(self, problem: Exception) -> Refusal:
        known = ((word, code) for kind, word, code in _REASONS if isinstance(problem, kind))
        reason, code = next(known, _UNFORESEEN)
        pause_s = max(problem.after_s, self._pause_s) if isinstance(problem, Retry) else self._pause_s
        return Refusal(reason, str(problem), pause_s, code)
