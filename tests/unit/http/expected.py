"""What a refusal must look like."""

from __future__ import annotations

from typing import Any

import httpx


def problem(response: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """Check that ``response`` is a problem detail (RFC 9457) of that kind; returns it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"/problems/{name}"
    assert body["title"]
    assert body["status"] == status
    assert body["detail"]
    return body
