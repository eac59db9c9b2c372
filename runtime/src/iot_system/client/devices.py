"""The registry: devices, and their credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from iot_system.client.problems import Rejection, problem_of
from iot_system.client.records import Credential, Device, DeviceToken, Imported
from iot_system.client.rest import NDJSON, Page, Rest, decoded, segment
from iot_system.domain.registry import DEFAULT_BEHAVIOUR

IMPORT_SIZE = 5_000
"""Devices in one request: far below what a request may bear."""
PAGE_SIZE = 1_000


class NewDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device to register. ``gateway`` names the device that may speak for it."""

    id: str
    room: str | None = None
    behaviour: str = DEFAULT_BEHAVIOUR
    labels: dict[str, str] = {}
    enabled: bool = True
    gateway: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    created: int
    existing: list[str]
    rejected: list[Rejection]


class Devices:
    """``IotClient.devices``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def create(self, device: NewDevice) -> Device:
        """Register one. Raises `Conflict` where the id exists, `Unavailable` where the answer is lost."""
        return await self._rest.send("POST", "/v1/devices", device, Device, is_repeatable=False)

    async def register(self, devices: Iterable[NewDevice]) -> Imported:
        """Register many, some thousand in a request; those that exist stay as they are, a bad one harms no other."""
        created, existing, refused = 0, list[str](), dict[str, str]()
        for batch in _batches(devices):
            body = b"\n".join(map(msgspec.json.encode, batch))
            response = await self._rest.answer("POST", "/v1/devices:import", body=body, media_type=NDJSON)
            if not response.is_success and (problem := problem_of(response)) and problem.errors:
                answer = _Answer(0, [], problem.errors)  # not one was good
            else:
                answer = decoded(response, _Answer)
            created += answer.created
            existing += answer.existing
            refused |= {batch[one.line - 1].id: one.detail for one in answer.rejected if one.line is not None}
        return Imported(created, existing, refused)

    async def get(self, device: str) -> Device:
        """Raises `NotFound`."""
        return await self._rest.get(_path(device), Device)

    def list(self, *, room: str | None = None, label: str | None = None) -> AsyncIterator[Device]:
        """Devices by id: all, or those of a room, or with a label ``name=value``."""
        return self._rest.items("/v1/devices", Device, {"room": room, "label": label, "limit": PAGE_SIZE})

    async def patch(self, device: str, changes: Mapping[str, Any]) -> Device:
        """Change a registration by a merge patch (RFC 7396): None removes a room, a gateway or a label."""
        return await self._rest.send("PATCH", _path(device), changes, Device)

    async def delete(self, device: str) -> None:
        """Remove a device with everything known of it. Raises `NotFound`."""
        await self._rest.delete(_path(device))

    async def issue_token(self, device: str) -> DeviceToken:
        """Make a token; earlier ones stay valid. One whose answer is lost is made again, and nobody knows the first."""
        return await self._rest.send("POST", f"{_path(device)}/credentials", None, DeviceToken)

    async def credentials(self, device: str) -> AsyncIterator[Credential]:
        """All of a device, the oldest first. Raises `NotFound`."""
        for one in (await self._rest.get(f"{_path(device)}/credentials", Page[Credential])).items:
            yield one

    async def revoke(self, device: str, credential: str) -> None:
        """Make a token invalid. Raises `NotFound`."""
        await self._rest.delete(f"{_path(device)}/credentials/{segment(credential)}")


def _path(device: str) -> str:
    return f"/v1/devices/{segment(device)}"


def _batches(devices: Iterable[NewDevice]) -> Iterable[Sequence[NewDevice]]:
    batch: list[NewDevice] = []
    for device in devices:
        batch.append(device)
        if len(batch) == IMPORT_SIZE:
            yield batch
            batch = []
    if batch:
        yield batch
