"""Roles by routes: every cell, asked of the whole system."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from tests.contract.access.callers import CALLERS
from tests.contract.access.routes import ROUTES, Call
from tests.harness.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = itertools.count()


async def described(system: System) -> dict[str, tuple[str, str]]:
    """Operation → method and path, as the interface describes itself."""
    paths = (await system.pod.admin.get("/v1/openapi.json")).json()["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


async def target_of(system: System, call: Call) -> str:
    """What the path names; one of its own where the call destroys it."""
    if call.fresh is None:
        return "lab" if call.path.startswith("/v1/rooms") else "one"
    id_, labels = f"fresh-{next(_numbers)}", {"floor": "2"}
    if call.fresh == "device":
        made = await system.pod.admin.post("/v1/devices", json={"id": id_, "labels": labels, "gateway": "gate"})
    else:
        made = await system.pod.admin.put(f"/v1/rooms/{id_}", json={"labels": labels})
    assert made.status_code in (200, 201), made.text
    return id_


async def ask(client: httpx.AsyncClient, call: Call, target: str) -> tuple[int, dict[str, Any]]:
    """The status and, where it is a refusal, the problem."""
    fresh = f"new-{next(_numbers)}"
    text = call.lines or ("" if call.body is None else json.dumps(call.body))
    content = text.replace("{fresh}", fresh).replace("{target}", target).encode() or None
    path = call.path.replace("{target}", target)
    async with client.stream(call.method, path, content=content) as response:
        if response.status_code < 400:
            return response.status_code, {}
        return response.status_code, json.loads(await response.aread())


async def test_the_table_has_a_row_for_each_route(system: System) -> None:
    found = await described(system)
    assert found.keys() == ROUTES.keys()
    for operation, (method, path) in found.items():
        call = ROUTES[operation]
        named = call.path.replace("{target}", "{}").replace("/none", "/{}")
        assert (call.method, named) == (method, _without_names(path)), operation


@pytest.mark.parametrize("operation", ROUTES)
async def test_each_caller_may_do_what_the_table_says_and_nothing_else(
    system: System, callers: dict[str, httpx.AsyncClient], operation: str
) -> None:
    call = ROUTES[operation]
    for name in CALLERS:
        target = await target_of(system, call)
        status, problem = await ask(callers[name], call, target)
        expected = call.who[name]
        detail = problem.get("detail", "")
        told = f"{operation} as {name}: {status} {detail}"
        if expected == "may":
            lacks = "/none" in call.path and status == 404 and "none" in detail
            assert status < 400 or lacks, told
        else:
            assert status == expected, told
        if expected == 403:
            assert any(word in detail for word in ("role", "itself", "scopes", "speak", "within")), told
        if expected == 404:
            missing = await ask(callers[name], call, "missing")  # whoever is out of scope cannot tell them apart
            assert (status, detail) == (missing[0], missing[1]["detail"].replace("missing", target)), told


def _without_names(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
