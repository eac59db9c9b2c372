"""Twins of devices: what they say of themselves, and what is wanted of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iot_system.client.records import Desired, Twin
from iot_system.client.rest import Rest, segment


class Twins:
    """``IotClient.twins``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def get(self, device: str) -> Twin:
        """Raises `NotFound`."""
        return await self._rest.get(f"/v1/devices/{segment(device)}/twin", Twin)

    async def desire(self, device: str, patch: Mapping[str, Any], *, if_version: int | None = None) -> Desired:
        """Merge ``patch`` (RFC 7396: None removes a key) into the desired state.

        Raises `PreconditionFailed` where its version is another than ``if_version``; then nothing is changed.
        """
        return await desire(self._rest, f"/v1/devices/{segment(device)}/twin/desired", patch, if_version)


async def desire(rest: Rest, path: str, patch: Mapping[str, Any], if_version: int | None) -> Desired:
    """Merge into the desired state at ``path``. Under a version it is not repeatable: the repetition would conflict."""
    headers = {} if if_version is None else {"If-Match": f'"{if_version}"'}
    return await rest.send("PATCH", path, patch, Desired, headers=headers, is_repeatable=if_version is None)
