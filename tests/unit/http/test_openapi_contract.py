"""The interface keeps to its own description, whatever a client sends (schemathesis).

A bounded run, the same each time; ``INTERFACE_CASES=100000`` asks for so many in all, others each time.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from iot_system.adapters.http.app import create_app
from schemathesis.specs.openapi import checks

from tests.unit.http.memory_gateway import ADMIN_TOKEN, MemoryGateway
from tests.unit.http.serving import SwitchableHealth, serving

DESCRIPTION = schemathesis.openapi.from_dict(create_app(MemoryGateway(), SwitchableHealth()).openapi_schema.to_schema())
AUTHORIZATION = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
STARTED_S = 60
CASES = int(os.environ.get("INTERFACE_CASES", "0"))
OPERATIONS = sum(1 for _ in DESCRIPTION.get_all_operations())


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: object) -> bytes:
    """A list as one line each; anything else as one line."""
    return b"\n".join(json.dumps(one).encode() for one in (value if isinstance(value, list) else [value]))


@schemathesis.serializer("application/msgpack")
def packed(_: schemathesis.SerializationContext, value: object) -> bytes:
    """MessagePack, whose whole numbers have 64 bits at most; larger ones become floats."""
    return msgspec.msgpack.encode(json.loads(json.dumps(value), parse_int=fitting))


def fitting(digits: str) -> int | float:
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A real server in a thread of its own, for the client blocks this one."""
    loop, port, stop = asyncio.new_event_loop(), list[int](), asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async with serving() as served:
            port.append(served.port)
            started.set()
            await stop.wait()

    server = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    server.start()
    assert started.wait(STARTED_S)
    yield f"http://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(stop.set)
    server.join()
    loop.close()


@DESCRIPTION.parametrize()
@settings(
    max_examples=max(10, CASES // OPERATIONS),
    deadline=None,
    derandomize=not CASES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_description_knows(url: str, case: schemathesis.Case[Any]) -> None:
    case.call_and_validate(base_url=url, headers=AUTHORIZATION, checks=CHECKS)
