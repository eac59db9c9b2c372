"""A small client of the REST interface for tests: patient, and exact about what was acknowledged."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from tests.harness.ledger import Entry, Ledger

PATIENCE_S = 120.0
RETRY_S = 0.1
ANSWER_S = 20.0
CONNECT_S = 1.0
"""To a pod that is gone; whoever tries again reaches another."""


class Rest:
    """One connection pool with the administrator's token. Safe to share between threads. ``trust``: for HTTPS.

    An answer that is not there after ``answer_s`` is asked for again.
    """

    def __init__(
        self, url: str, token: str, *, answer_s: float = ANSWER_S, trust: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self.token = token
        self.trust = trust
        self._client = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(answer_s, connect=CONNECT_S),
            trust_env=False,
            verify=trust or True,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Try again while the system is away or busy; any other answer is the answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                response = self._client.request(method, path, **options)
                if response.status_code not in (429, 503):
                    return response
                problem: object = response.text
            except httpx.TransportError as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path}: no answer within {PATIENCE_S:g} s; last: {problem}")
            time.sleep(RETRY_S)

    def get(self, path: str, **parameters: Any) -> Any:
        """The decoded body of a 200."""
        response = self.request("GET", path, params=parameters)
        assert response.status_code == 200, f"GET {path}: {response.status_code} {response.text}"
        return response.json()

    def register(self, device: str, *, room: str | None = None) -> str:
        """Register a device (again) and return a new token of it."""
        response = self.request("POST", "/v1/devices", json={"id": device, **({"room": room} if room else {})})
        assert response.status_code in (201, 409), response.text
        response = self.request("POST", f"/v1/devices/{device}/credentials")
        assert response.status_code == 201, response.text
        return str(response.json()["token"])

    def send(self, ledger: Ledger, entries: Sequence[Entry]) -> None:
        """Send readings in one bulk request, again and again until it is acknowledged."""
        ledger.send(entries)
        body = "\n".join(
            json.dumps({"device": entry.device, "ts": entry.ts, "values": {entry.metric: entry.value}})
            for entry in entries
        )
        response = self.request("POST", "/v1/telemetry", content=body, headers={"content-type": "application/x-ndjson"})
        assert response.status_code == 202, f"{response.status_code} {response.text}"
        assert response.json()["accepted"] == len(entries), response.text
        ledger.acknowledge(entries)

    def history(self, device: str) -> Iterator[Entry]:
        """All readings of a device, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(f"/v1/devices/{device}/telemetry", limit=5000, **({"cursor": cursor} if cursor else {}))
            for item in page["items"]:
                yield Entry(device, item["metric"], item["ts"], item["value"])
            cursor = page.get("cursor")
            if cursor is None:
                return
