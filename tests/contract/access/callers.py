"""Everybody who may ask: one client each, by name."""

from __future__ import annotations

from pathlib import Path

import httpx
from iot_system.settings import JwtSettings

from tests.harness.system import System
from tests.unit.jwt.issuer import RULES, Key, document

SCOPES_IN = ("room:lab", "label:floor=2")
"""Leave in sight what the tests ask for; the labels, what a test registers for itself."""
SCOPES_OUT = ("room:hall", "label:floor=9")
TARGET = {"id": "one", "room": "lab", "labels": {"floor": "2"}, "gateway": "gate"}
ISSUER_KEY = Key("EdDSA", "k")

DEVICES = ("device", "gateway", "stranger")
PERSONS = ("viewer", "operator", "admin")
CALLERS = (
    "nobody",
    *DEVICES,
    *PERSONS,
    "first admin",
    *(f"{role} by JWT" for role in PERSONS),
    *(f"{role} in scope" for role in PERSONS),
    *(f"{role} out of scope" for role in PERSONS),
)


def identity_provider(folder: Path) -> JwtSettings:
    """Settings of one whose only key is `ISSUER_KEY`."""
    path = folder / "jwks.json"
    path.write_bytes(document(ISSUER_KEY))
    return JwtSettings(issuer=RULES.issuer, audience=RULES.audience, jwks=str(path))


async def register_all(system: System) -> dict[str, httpx.AsyncClient]:
    """Register ``one`` (whose gateway is ``gate``) in the lab, and everybody's tokens."""
    pod = system.pod
    for device in ({"id": "gate"}, {"id": "other", "room": "hall"}, TARGET):
        response = await pod.admin.post("/v1/devices", json=device)
        assert response.status_code == 201, response.text
    tokens: dict[str, str | None] = {"nobody": None}
    for name, id_ in zip(DEVICES, ("one", "gate", "other"), strict=True):
        tokens[name] = await pod.token_of(id_)
    for role in PERSONS:
        tokens[role] = (await pod.api_token(role))[1]
        tokens[f"{role} by JWT"] = ISSUER_KEY.sign(iot_role=role)
        tokens[f"{role} in scope"] = (await pod.api_token(role, *SCOPES_IN))[1]
        tokens[f"{role} out of scope"] = (await pod.api_token(role, *SCOPES_OUT))[1]
    clients = {name: pod.client(token) for name, token in tokens.items()}
    pod.clients += clients.values()
    return clients | {"first admin": pod.admin}
