"""Who may do what, topic by topic, with real connections: the table of docs/access.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    ConnAck,
    Connect,
    Options,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Will,
)

from tests.contract.access.callers import ISSUER_KEY, identity_provider
from tests.contract.mqtt.peers import registered
from tests.contract.mqtt.serving import RawClient
from tests.harness.system import ADMIN_TOKEN, System, running_system

pytestmark = pytest.mark.asyncio(loop_scope="module")
REFUSED = 0x87
ALL = {"device", "gateway", "viewer", "operator", "admin"}
PEOPLE = {"viewer", "operator", "admin"}
OPERATORS = {"operator", "admin"}
BY_JWT = {f"{role} by JWT": role for role in PEOPLE}
IN_LAB = {f"{role} in lab": role for role in PEOPLE}
"""Narrowed to one room."""
SCOPED, SCOPED_OPERATORS = set(IN_LAB), {name for name, role in IN_LAB.items() if role in OPERATORS}
BODIES = {"telemetry": b'{"t": 1}', "reported": b"{}", "result": b'{"status": "failed"}'}

PUBLISH = [
    ("v1/devices/me/telemetry", {"device", "gateway"}),
    ("v1/devices/one/telemetry", {"device", "gateway"} | OPERATORS),
    ("v1/devices/other/telemetry", OPERATORS),
    ("v1/devices/one/twin/reported", {"device", "gateway"} | OPERATORS),
    ("v1/devices/one/commands/c/result", {"device", "gateway"} | OPERATORS),
    ("v1/devices/one/twin/desired", set()),
    ("v1/devices/one/connection", set()),
    ("v1/rooms/lab/twin", set()),
    ("app/devices/one/x", {"device", "gateway"} | OPERATORS),
    ("app/devices/other/x", OPERATORS),
    ("app/rooms/lab/x", OPERATORS | SCOPED_OPERATORS),
    ("app/rooms/attic/x", OPERATORS),
    ("app/x", OPERATORS),
    ("$SYS/x", set()),
    ("elsewhere", set()),
]
SUBSCRIBE = [
    ("v1/devices/me/#", {"device", "gateway"} | PEOPLE | SCOPED),
    ("v1/devices/one/twin/desired", ALL | SCOPED),
    ("v1/devices/one/commands/+/+", ALL | SCOPED),
    ("v1/devices/other/#", PEOPLE | SCOPED),
    ("v1/devices/+/telemetry", PEOPLE | SCOPED),
    ("v1/rooms/lab/twin", PEOPLE | SCOPED),
    ("v1/#", PEOPLE | SCOPED),
    ("app/devices/one/#", ALL),
    ("app/devices/+/x", PEOPLE),
    ("app/rooms/lab/#", PEOPLE | SCOPED),
    ("app/#", PEOPLE),
    ("$share/g/app/#", PEOPLE),
    ("#", PEOPLE),
    ("$SYS/#", set()),
    ("elsewhere", set()),
]
ROLES = sorted(ALL | SCOPED | BY_JWT.keys())
Entry = tuple[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """An API pod, and an identity provider."""
    folder = tmp_path_factory.mktemp("system")
    async with running_system(folder, jwt=identity_provider(folder)) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def entries(system: System) -> dict[str, Entry]:
    """User name and password by role; ``gateway`` speaks for ``one``."""
    (gateway,) = await registered(system.pod, "edge", room="lab")
    (device,) = await registered(system.pod, "one", room="lab", gateway="edge")
    await registered(system.pod, "other", room="attic")
    people = {role: ("api", (await system.pod.api_token(role))[1]) for role in ("viewer", "operator")}
    in_lab = {name: ("api", (await system.pod.api_token(role, "room:lab"))[1]) for name, role in IN_LAB.items()}
    by_jwt = {name: ("jwt", ISSUER_KEY.sign(iot_role=role)) for name, role in BY_JWT.items()}
    return {
        "device": ("one", device),
        "gateway": ("edge", gateway),
        "admin": ("admin", ADMIN_TOKEN),
        **people,
        **in_lab,
        **by_jwt,
    }


async def client_of(system: System, entry: Entry, level: int = MQTT_5, will: Will | None = None) -> RawClient:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", system.pod.mqtt_port), level)
    await client.send(Connect("", level, username=entry[0], password=entry[1].encode(), will=will))
    return client


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_publish_what_the_table_says(system: System, entries: dict[str, Entry], role: str) -> None:
    client = await client_of(system, entries[role])
    assert isinstance(await client.receive(), ConnAck)
    for number, (topic, roles) in enumerate(PUBLISH, 1):
        await client.send(Publish(topic, BODIES.get(topic.rpartition("/")[2], b"x"), 1, number))
        answer = await client.receive()
        assert isinstance(answer, PubAck)
        may = BY_JWT.get(role, role) in roles or (IN_LAB.get(role) in roles and topic.startswith("v1/devices/one/"))
        assert (answer.reason_code == 0) is may, topic
        if not may and not (role in SCOPED_OPERATORS and topic == "v1/devices/other/telemetry"):
            assert answer.reason_code == (0x90 if topic.startswith("v1/devices/me/") else REFUSED), topic
    await client.close()


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_subscribe_to_what_the_table_says(
    system: System, entries: dict[str, Entry], role: str
) -> None:
    client = await client_of(system, entries[role])
    assert isinstance(await client.receive(), ConnAck)
    await client.send(Subscribe(1, tuple((filter_, Options(1)) for filter_, _ in SUBSCRIBE)))
    while not isinstance(answer := await client.receive(), SubAck):
        assert isinstance(answer, Publish), "messages may come before it (3.8.4)"
    for (filter_, roles), code in zip(SUBSCRIBE, answer.reason_codes, strict=True):
        assert code == (1 if BY_JWT.get(role, role) in roles else REFUSED), filter_
    await client.close()


@pytest.mark.parametrize(("level", "code"), [(MQTT_3_1_1, 5), (MQTT_5, REFUSED)])
@pytest.mark.parametrize(
    ("role", "topic", "is_let_in"),
    [
        ("device", "app/devices/one/gone", True),
        ("device", "app/x", False),
        ("device", "v1/devices/me/telemetry", False),
        ("operator", "app/x", True),
        ("viewer", "app/x", False),
    ],
)
async def test_a_will_is_for_topics_that_its_client_may_publish_to(
    system: System, entries: dict[str, Entry], role: str, topic: str, is_let_in: bool, level: int, code: int
) -> None:
    client = await client_of(system, entries[role], level, Will(topic, b"gone"))
    answer = await client.receive()
    assert isinstance(answer, ConnAck)
    assert answer.reason_code == (0 if is_let_in else code)
    await client.close()
