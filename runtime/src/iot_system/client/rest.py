"""Requests: patient while the system is away or busy, decoded to types, lists page by page."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Self, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from iot_system.client.problems import SystemFault, error_of, retry_after_s
from iot_system.errors import Unavailable, reason_of

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
SILENT_S = 2.0
"""Who waits longer for the system is told so."""
TIMEOUT_S = 30.0
"""The longest silence within one attempt; a request that asks the system to wait adds that time."""
JSON = "application/json"
NDJSON = "application/x-ndjson"
_NOT_SERVED = (429, 503)
"""Such an answer says that nothing was done."""
_LOST = (502, 504)
"""Such an answer of a proxy does not."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Parameter: TypeAlias = str | int | float
Parameters: TypeAlias = Mapping[str, Parameter | Sequence[Parameter] | None]
"""Query parameters; None leaves one out."""
T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; ``cursor`` continues it."""

    items: list[T]
    cursor: str | None = None


class Patience:
    """The pauses between attempts, until the time is over; ``told`` hears why it takes long, once."""

    def __init__(self, duration_s: float, told: Callable[[str], None]) -> None:
        self._began_s = time.monotonic()
        self._duration_s = duration_s
        self._told: Callable[[str], None] | None = told
        self._pause_s = FIRST_WAIT_S

    async def pause(self, why: str, *, at_least_s: float) -> bool:
        """Wait for the next attempt; False, at once, where there shall be none."""
        passed_s = time.monotonic() - self._began_s
        if passed_s > self._duration_s:
            return False
        pause_s = max(self._pause_s, at_least_s)
        if self._told is not None and passed_s + pause_s > SILENT_S:
            self._told(why)
            self._told = None
        await asyncio.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_WAIT_S)
        return True


class Rest:
    """One pool of connections with one token, in an ``async with``."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        tls: ssl.SSLContext | None = None,
        patience_s: float,
        waiting: Callable[[str], None] = lambda why: None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        self._waiting = waiting
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            # Python's default, not httpx's own CAs: the system's, or those of the file that SSL_CERT_FILE names.
            verify=tls or ssl.create_default_context(),
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._client.__aexit__(*exc_info)

    def patience(self, *, more_s: float = 0.0) -> Patience:
        """For a new call."""
        return Patience(self.patience_s + more_s, self._waiting)

    async def answer(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        media_type: str = JSON,
        parameters: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        """Return the first answer that is neither "later" nor "nobody here"; waits as long as ``Retry-After`` asks.

        A request that is not repeatable is sent again only where it certainly did nothing. Raises `Unavailable` when
        patience is at its end, or the answer to such a request is lost.
        """
        patience = self.patience(more_s=wait_s)
        content_type = {"Content-Type": media_type} if body is not None else {}
        while True:
            advised_s = 0.0
            try:
                response = await self._client.request(
                    method,
                    path,
                    content=body,
                    headers={**content_type, **(headers or {})},
                    params=_given(parameters),
                    timeout=TIMEOUT_S + wait_s,
                )
            except httpx.TransportError as error:
                problem, may_be_done = reason_of(error), not isinstance(error, _NEVER_SENT)
            else:
                if response.status_code not in _NOT_SERVED + _LOST:
                    return response
                problem, may_be_done = str(error_of(response)), response.status_code in _LOST
                advised_s = retry_after_s(response)
            if may_be_done and not is_repeatable:
                raise Unavailable(f"the answer to {method} {path} is lost, so it may be done or not: {problem}")
            if not await patience.pause(problem, at_least_s=advised_s):
                raise Unavailable(f"{self.url} gave no answer to {method} {path} for {self.patience_s:g} s: {problem}")

    async def get(self, path: str, type_: type[T], parameters: Parameters | None = None, *, wait_s: float = 0.0) -> T:
        """The decoded answer. Raises the `IotError` that another answer is."""
        return decoded(await self.answer("GET", path, parameters=parameters, wait_s=wait_s), type_)

    async def send(
        self,
        method: str,
        path: str,
        body: object,
        type_: type[T],
        *,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
        parameters: Parameters | None = None,
        wait_s: float = 0.0,
    ) -> T:
        """Send ``body`` as JSON (nothing where it is None) → the decoded answer. Raises as `get`."""
        response = await self.answer(
            method,
            path,
            body=None if body is None else msgspec.json.encode(body),
            headers=headers,
            is_repeatable=is_repeatable,
            parameters=parameters,
            wait_s=wait_s,
        )
        return decoded(response, type_)

    async def delete(self, path: str) -> None:
        """Raises the `IotError` that the answer is."""
        checked(await self.answer("DELETE", path))

    async def pages(self, path: str, type_: type[T], parameters: Parameters | None = None) -> AsyncIterator[list[T]]:
        """Every page of a list, asked for when it is needed. Raises as `get`."""
        cursor: str | None = None
        while True:
            page = await self.get(path, Page[type_], {**(parameters or {}), "cursor": cursor})  # type: ignore[valid-type]
            yield page.items
            if (cursor := page.cursor) is None:
                return

    async def items(self, path: str, type_: type[T], parameters: Parameters | None = None) -> AsyncIterator[T]:
        """Every item of a list. Raises as `get`."""
        async for page in self.pages(path, type_, parameters):
            for item in page:
                yield item

    def stream(
        self, path: str, *, parameters: Parameters, headers: Mapping[str, str], silence_s: float
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """An answer that goes on and on. Reading raises `httpx.ReadTimeout` after ``silence_s`` without a word."""
        timeout = httpx.Timeout(TIMEOUT_S, read=silence_s)
        return self._client.stream("GET", path, params=_given(parameters), headers=dict(headers), timeout=timeout)


def segment(id_: str) -> str:
    """An id as a part of a path."""
    return quote(id_, safe="")


def checked(response: httpx.Response) -> httpx.Response:
    """Return a response of success; raise the `IotError` that another one is."""
    if not response.is_success:
        raise error_of(response)
    return response


def decoded(response: httpx.Response, type_: type[T]) -> T:
    """The body of a response of success. Raises as `checked`, and `SystemFault` for a body of another shape."""
    try:
        return msgspec.json.decode(checked(response).content, type=type_)
    except msgspec.DecodeError as error:
        where = f"{response.request.method} {response.request.url.path}"
        raise SystemFault(f"the answer to {where} is not as this client knows it: {error}") from error


def _given(parameters: Parameters | None) -> dict[str, Any]:
    return {name: value for name, value in (parameters or {}).items() if value is not None}
