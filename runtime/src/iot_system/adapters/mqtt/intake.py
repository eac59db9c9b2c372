"""From PUBLISH packets of devices to what is stored of them, with a reason for each packet that is not stored.

A packet is one thing: a list of messages of which one is refused is refused as a whole, before any of it is stored.
What has QoS 2 is stored under the id that its session has for it, where the device gave none: so it is recognised when
it comes again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from iot_system.adapters.mqtt.inbound import Refusal
from iot_system.adapters.mqtt.packets import Publish
from iot_system.adapters.mqtt.refusing import refusal_of, topic_refusal
from iot_system.adapters.mqtt.topics import Target, target_of
from iot_system.domain.commands import check_payload
from iot_system.domain.payloads import plain
from iot_system.domain.readings import JSON_DEPTH_LIMIT, Telemetry, parse_telemetry, read_usual
from iot_system.domain.recognising import part_id
from iot_system.domain.signals import CommandAnswer, Reported, Signal
from iot_system.domain.twin import STATE_LIMIT
from iot_system.domain.undecodable import why_undecodable
from iot_system.errors import InvalidInput, IotError, Retry
from iot_system.ports.gateway import Gateway, Principal, resolve_me

Input: TypeAlias = Telemetry | Signal
_decode = msgspec.json.Decoder().decode


class _Result(msgspec.Struct, forbid_unknown_fields=True):
    """What a device says of a command."""

    status: Literal["succeeded", "failed"]
    payload: Any = None


class Intake:
    """Stores what clients publish below ``v1/``; ``pause_s`` is the wait advised to the sender of a refused message."""

    def __init__(self, gateway: Gateway, pause_s: float) -> None:
        self._gateway = gateway
        self._pause_s = pause_s

    async def store(
        self, principal: Principal, publishes: Sequence[Publish], indexes: Sequence[int], ids: Mapping[int, str]
    ) -> dict[int, Refusal]:
        """Returns when each packet of ``indexes`` is durable or refused: the refused ones by index.

        ``ids`` has the ids of those of QoS 2.
        """
        refusals: dict[int, Refusal] = {}
        messages: list[Input] = []
        owners: list[int] = []
        now_us = self._gateway.now_us()
        for index in indexes:
            publish = publishes[index]
            try:
                target = target_of(publish.topic)
                device = resolve_me(target.device, principal)
            except IotError as error:
                refusals[index] = topic_refusal(error, self._pause_s)
                continue
            if target.kind == "telemetry" and not ids:
                usual = read_usual(device, publish.payload, now_us=now_us)
                if usual is not None:
                    messages.append(usual)
                    owners.append(index)
                    continue
            try:
                self._read(target, device, publish.payload, ids.get(index), messages)
            except InvalidInput as error:
                refusals[index] = refusal_of(error, self._pause_s)
            owners += [index] * (len(messages) - len(owners))
        if not messages:
            return refusals
        results: list[Exception | None]
        try:
            results = await self._gateway.ingest(principal, messages)
        except Retry as error:
            results = [error] * len(messages)
        if any(results):
            for owner, problem in zip(owners, results, strict=True):
                if problem is not None:
                    refusals.setdefault(owner, refusal_of(problem, self._pause_s))
        return refusals

    def _read(self, target: Target, device: str, payload: bytes, id_: str | None, into: list[Input]) -> None:
        """Append all messages of a payload, or none. Raises `InvalidInput`."""
        try:
            body = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the payload cannot be decoded: {why_undecodable(error, payload)}") from None
        except RecursionError:
            raise InvalidInput(f"the payload is nested too deeply; the limit is {JSON_DEPTH_LIMIT} levels") from None
        kind, _, command = target
        if kind == "reported":
            into.append(self._reported(device, body, id_))
        elif kind == "result":
            into.append(self._answer(device, command, body))
        else:
            into += self._telemetry(device, body if isinstance(body, list) else [body], id_)

    def _telemetry(self, device: str, body: list[Any], id_: str | None) -> list[Telemetry]:
        if not body:
            raise InvalidInput("the payload is an empty list; it bears at least one message")
        found = [parse_telemetry(device, one, now_us=self._gateway.now_us()) for one in body]
        if id_ is None:
            return found
        last = len(found) - 1
        return [_named(one, part_id(id_, number, is_last=number == last)) for number, one in enumerate(found)]

    def _reported(self, device: str, body: Any, id_: str | None) -> Reported:
        if not isinstance(body, dict):
            raise InvalidInput("reported is a merge patch (RFC 7396), so an object")
        name = None if id_ is None else part_id(id_, 0, is_last=True)
        return Reported(device, plain(body, field="reported", limit=STATE_LIMIT), self._gateway.now_us(), name)

    def _answer(self, device: str, command: str, body: Any) -> CommandAnswer:
        try:
            result = msgspec.convert(body, _Result)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"the result is not {{status, payload}}: {error}") from None
        check_payload(result.payload, field="payload")
        return CommandAnswer(device, command, result.status, result.payload, self._gateway.now_us())


def _named(message: Telemetry, id_: str) -> Telemetry:
    """One that can be recognised already stays as it is."""
    if message.id is not None or message.seq is not None:
        return message
    return msgspec.structs.replace(message, id=id_)
