"""Some devices by bulk requests over one connection: the next request when all of the one before is acknowledged."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import httpx
import msgspec

from tests.harness.load.sending import Sending

EVERY_S = 0.2
MOST_MESSAGES = 1_000
ANSWER_S = 3.0
CONNECT_S = 1.0
RETRY_S = 0.1
LATER = (429, 503)
TEMPORARY = ("/problems/unavailable", "/problems/overloaded")


class RestDevices:
    """`begin`, then `send`: as often as there is something due."""

    def __init__(self, url: str, token: str, sendings: Sequence[Sending], tls: ssl.SSLContext | None) -> None:
        self.repeated = 0
        """Requests that were made again."""
        self._sendings = sendings
        headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
            verify=tls or True,
        )

    def begin(self) -> list[tuple[Sending, int]]:
        """Messages that are due: they are in the ledger once it is flushed."""
        most = MOST_MESSAGES // len(self._sendings)
        return [(one, number) for one in self._sendings for number in one.begin(most)]

    async def send(self, messages: Sequence[tuple[Sending, int]]) -> None:
        """Return when all of them are acknowledged. Raises AssertionError for those that never will be."""
        waiting = messages
        while waiting:
            later = await self._ask(waiting)
            left = set(later)
            for one in self._sendings:
                one.acknowledge(number for sending, number in waiting if sending is one and (one, number) not in left)
            if waiting := later:
                self.repeated += 1
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _ask(self, messages: Sequence[tuple[Sending, int]]) -> list[tuple[Sending, int]]:
        """One request; returns what is to be sent again."""
        try:
            response = await self._client.post("/v1/telemetry", content=b"\n".join(map(_line, messages)))
        except httpx.TransportError:
            return list(messages)
        if response.status_code in LATER:
            return list(messages)
        assert response.status_code == 202, f"{response.status_code} {response.text[:500]}"
        rejected = msgspec.json.decode(response.content).get("rejected", ())
        for one in rejected:
            assert one["type"] in TEMPORARY, one
        return [messages[one["line"] - 1] for one in rejected]


def _line(message: tuple[Sending, int]) -> bytes:
    sending, number = message
    ts, values = sending.ts_and_values(number)
    return b'{"device":"%s","ts":%d,"values":%s}' % (sending.device.id.encode(), ts, values)
