"""A client of several API pods: what one does not answer, it asks another, with the same words."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

PATIENCE_S = 120.0
RETRY_S = 0.1
NOT_SERVED = (429, 502, 503, 504)
ANSWER_S = 20.0


class Pods:
    """Keeps asking until there is an answer; ``lost`` counts requests of which nobody knows whether they were done."""

    def __init__(self, urls: Sequence[str], admin_token: str) -> None:
        self._clients = [httpx.AsyncClient(base_url=url, timeout=ANSWER_S, trust_env=False) for url in urls]
        self._turns = itertools.count()
        self._admin_token = admin_token
        self.lost = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        if_match: int | None = None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        """The first answer that is one, as administrator without ``token``. Raises AssertionError at the deadline."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + PATIENCE_S + wait_s
        headers = {"Authorization": f"Bearer {token or self._admin_token}"}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        while True:
            client = self._clients[next(self._turns) % len(self._clients)]
            try:
                response = await client.request(
                    method,
                    path,
                    json=body,
                    headers=headers,
                    params={"wait_s": wait_s} if wait_s else None,
                    timeout=ANSWER_S + wait_s,
                )
            except httpx.TransportError as error:
                problem = repr(error)
            else:
                if response.status_code not in NOT_SERVED:
                    return response
                problem = response.text
            self.lost += 1
            assert loop.time() < deadline_s, f"{method} {path}: no answer for {PATIENCE_S:g} s; last: {problem}"
            await asyncio.sleep(RETRY_S)

    async def ok(self, method: str, path: str, body: Any = None, *, token: str = "", wait_s: float = 0.0) -> Any:
        """The body of an answer that must be good."""
        response = await self.ask(method, path, body, token=token, wait_s=wait_s)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None
