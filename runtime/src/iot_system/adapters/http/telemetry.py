"""Telemetry in: of one device, and of many devices at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import post
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, itself_or, sends
from iot_system.adapters.http.batches import BatchReader, Items, check
from iot_system.adapters.http.openapi import BulkTelemetryOperation, TelemetryOperation
from iot_system.adapters.http.problems import Rejection
from iot_system.adapters.http.requests import ApiRequest
from iot_system.domain.access import Action
from iot_system.domain.ids import check_id
from iot_system.domain.readings import Telemetry, parse_telemetry, timed_telemetry
from iot_system.ports.gateway import Principal, resolve_me

_PROBLEMS = problems.documented(400, 401, 403, 404, 413, 415, 429, 503)


class BulkItem(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One message of one of many devices."""

    device: str
    values: dict[str, Any]
    ts: int | float | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    boot: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class Accepted(msgspec.Struct, omit_defaults=True):
    """What is stored durably, and which items were refused."""

    accepted: Annotated[int, Meta(description="Messages stored durably.", examples=[2])]
    rejected: list[Rejection] = []


_messages: BatchReader[Any] = BatchReader(Any)
_bulk: BatchReader[BulkItem] = BatchReader(BulkItem)


@post(
    "/devices/{device:str}/telemetry",
    operation_id="sendTelemetry",
    summary="Send telemetry of a device",
    tags=["telemetry"],
    guards=[itself_or(Action.OPERATE)],
    status_code=202,
    operation_class=TelemetryOperation,
    responses=_PROBLEMS,
)
async def send_telemetry(request: ApiRequest, device: DevicePath) -> Accepted:
    """Store one message of a device, or a list of them. The answer comes once they are durable."""
    items = await _messages.read(request.form, await request.body())
    gateway, device_id = request.gateway, request.device_id(device)

    def parse(body: Any) -> Telemetry:
        return parse_telemetry(device_id, body, now_us=gateway.now_us())

    return await _store(request, items, parse)


@post(
    "/telemetry",
    operation_id="sendBulkTelemetry",
    summary="Send telemetry of many devices",
    tags=["telemetry"],
    guards=[sends],
    status_code=202,
    operation_class=BulkTelemetryOperation,
    responses=_PROBLEMS,
)
async def send_bulk_telemetry(request: ApiRequest) -> Accepted:
    """Store messages of many devices. Good items are stored even where others are refused."""
    items = await _bulk.read(request.form, await request.body())
    return await _store(request, items, _bulk_parser(request.principal, request.gateway.now_us))


def _bulk_parser(principal: Principal, now_us: Callable[[], int]) -> Callable[[BulkItem], Telemetry]:
    checked: dict[str, str] = {}
    begin_us = now_us()

    def parse(item: BulkItem) -> Telemetry:
        device = checked.get(item.device)
        if device is None:
            device = check_id(resolve_me(item.device, principal), field="device")
            checked[item.device] = device
        if item.ts is not UNSET and item.seq is UNSET and item.boot is UNSET and item.id is UNSET:  # nearly all
            return timed_telemetry(device, item.ts, item.values, now_us=begin_us)
        body: dict[str, Any] = {"values": item.values}
        if item.ts is not UNSET:
            body["ts"] = item.ts
        if item.seq is not UNSET:
            body["seq"] = item.seq
        if item.boot is not UNSET:
            body["boot"] = item.boot
        if item.id is not UNSET:
            body["id"] = item.id
        # Stamped each by itself: of two readings of one moment the second would be taken for the first, sent again.
        return parse_telemetry(device, body, now_us=now_us())

    return parse


async def _store(request: ApiRequest, items: Items[Any], parse: Callable[[Any], Telemetry]) -> Accepted:
    messages, bad = await check(items, parse)
    accepted = len(messages)
    if messages:
        results = await request.gateway.ingest(request.principal, messages)
        if any(results):
            good = [position for position in items.positions if position not in bad]
            refused = {position: error for position, error in zip(good, results, strict=True) if error}
            accepted -= len(refused)
            bad |= refused
    if not accepted:
        raise problems.AllRefused(bad, items.rejections(bad))
    return Accepted(accepted, items.rejections(bad))
