"""The REST interface as a command uses it: patient while the system is away or busy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from iot_system.errors import InvalidInput, IotError, NotFound, Unauthenticated, Unavailable

PATIENCE_S = 120.0
"""How long one request may be tried again."""
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
TIMEOUT_S = 30.0
AWAY = (429, 502, 503, 504)
_ERRORS: Mapping[int, type[IotError]] = {401: Unauthenticated, 404: NotFound}
Parameters = Mapping[str, str | int | float]


class Rest:
    """A client with the administrator's token, in an ``async with``."""

    def __init__(self, url: str, token: str, *, patience_s: float = PATIENCE_S) -> None:
        self.url = url
        self._patience_s = patience_s
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, trust_env=False
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._client.__aexit__(*exc_info)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        media_type: str = "application/json",
        parameters: Parameters | None = None,
    ) -> httpx.Response:
        """Return the first answer that is not "later", or "nobody here"; waits as long as ``Retry-After`` asks for.

        Raises `Unavailable` when patience is at its end.
        """
        deadline_s = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            advised_s = 0.0
            try:
                response = await self._client.request(
                    method,
                    path,
                    content=body,
                    headers={"Content-Type": media_type} if body is not None else {},
                    params=parameters,
                )
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if response.status_code not in AWAY:
                    return response
                problem, advised_s = detail(response), _retry_after_s(response)
            if time.monotonic() > deadline_s:
                raise Unavailable(f"{self.url} gave no answer to {method} {path} for {self._patience_s:g} s: {problem}")
            await asyncio.sleep(max(wait_s, advised_s))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """The decoded body. Raises the `IotError` that the answer is."""
        return msgspec.json.decode(checked(await self.request("GET", path, parameters=parameters)).content)

    async def post(self, path: str, body: Any = None) -> Any:
        """Send JSON; the decoded body of the answer. Raises the `IotError` that the answer is."""
        encoded = None if body is None else msgspec.json.encode(body)
        return msgspec.json.decode(checked(await self.request("POST", path, body=encoded)).content)

    async def delete(self, path: str) -> None:
        """Raises the `IotError` that the answer is."""
        checked(await self.request("DELETE", path))

    async def register(self, devices: list[dict[str, str]]) -> None:
        """Register devices; those that exist stay as they are."""
        lines = b"\n".join(map(msgspec.json.encode, devices))
        checked(await self.request("POST", "/v1/devices:import", body=lines, media_type="application/x-ndjson"))

    async def issue_token(self, device: str) -> tuple[str, str]:
        """A new credential's id, and its token."""
        made = await self.post(f"/v1/devices/{quote(device)}/credentials")
        return made["credential"], made["token"]


def checked(response: httpx.Response) -> httpx.Response:
    """Return a response of success; raise the `IotError` that another one is, with the system's own sentence."""
    if response.is_success:
        return response
    kind = _ERRORS.get(response.status_code, InvalidInput)
    request = response.request
    raise kind(f"{request.method} {request.url.path} was answered {response.status_code}: {detail(response)}")


def detail(response: httpx.Response) -> str:
    """The sentence of a problem (RFC 9457), or what there is instead."""
    try:
        return str(msgspec.json.decode(response.content)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def _retry_after_s(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), PATIENCE_S) if value.isdigit() else 0.0
