"""What somebody can do who has a service's password, against a real nats-server: what docs/security.md says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.events import EVENTS, NatsLog
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings
from nats.js.api import StreamConfig

from tests.harness.nats import ADMINISTRATOR, NatsServer, connected, flushed

DEADLINE_S = 20.0
PARTITIONS = 4
OWN = {API: "IOT_MESSAGES", ACTOR_SYSTEM: "IOT_FRAMES"}
"""A stream that the service reads, and writes to."""
ALLOWED = {API: "iot.app.x", ACTOR_SYSTEM: "iot.frames.1"}
READS_OTHERS = {"sources": [{"name": "IOT_EVENTS"}]}
NEXT = "$JS.API.CONSUMER.MSG.NEXT.{}.{}"
KEEPS_NOTHING = {"max_msgs": 1}
SPEAKS_ANYWHERE = {"republish": {"src": ">", "dest": "iot.gateway.>"}}


@pytest.fixture
async def server(server: NatsServer) -> NatsServer:
    """With the streams."""
    await make_streams(server.settings(), StreamSettings(partitions=PARTITIONS))
    return server


async def streams(server: NatsServer) -> dict[str, StreamConfig]:
    async with connected(server) as client:
        return {one.config.name or "": one.config for one in await client.jetstream().streams_info()}


@pytest.mark.parametrize("user", [API, ACTOR_SYSTEM, ADMINISTRATOR])
@pytest.mark.parametrize("changes", [READS_OTHERS, SPEAKS_ANYWHERE, KEEPS_NOTHING], ids=lambda one: next(iter(one)))
async def test_no_service_makes_a_stream_or_changes_one(
    server: NatsServer, user: str, changes: Mapping[str, Any]
) -> None:
    before = await streams(server)
    own = before[OWN.get(user, "IOT_MESSAGES")]
    new = {"name": "MINE", "subjects": ["mine"], "storage": "file", "retention": "limits", "num_replicas": 1}
    async with connected(server, user) as client:
        for subject, config in (("CREATE.MINE", new), (f"UPDATE.{own.name}", own.as_dict())):
            await client.publish(f"$JS.API.STREAM.{subject}", json.dumps({**config, **changes}).encode())
        await flushed(client)

    async def changed() -> bool:
        after = await streams(server)
        return after.keys() != before.keys() and after[own.name or ""] != own

    if user == ADMINISTRATOR:
        await until(changed, within_s=DEADLINE_S, why="nobody could: the requests are wrong")
    else:
        assert await streams(server) == before


@pytest.mark.parametrize("service", [API, ACTOR_SYSTEM])
async def test_what_jetstream_delivers_where_a_service_may_not_speak_is_not_heard(
    server: NatsServer, service: str
) -> None:
    heard: list[bytes] = []
    subjects = ("iot.gateway.pod", "iot.events.1")
    async with (
        connected(server, API) as listening,
        connected(server) as witness,
        connected(server, service) as client,
    ):
        await NatsRequests(listening).on_told("pod", heard.append)
        await NatsLog(listening, EVENTS, partitions=PARTITIONS).overhear(1, heard.append)
        seen = [await witness.subscribe(subject) for subject in subjects]
        for one in (listening, witness):
            await flushed(one)
        await client.jetstream().publish(ALLOWED[service], b"forged")
        for number, subject in enumerate(subjects):
            await make_consumer(client, OWN[service], f"pushing-{number}", deliver_subject=subject)
            await make_consumer(client, OWN[service], f"pulled-{number}")
            await client.publish(NEXT.format(OWN[service], f"pulled-{number}"), b"1", reply=subject)
        for subscription in seen:
            for _ in ("pushed", "pulled"):
                assert (await subscription.next_msg(timeout=DEADLINE_S)).data == b"forged"
        async with connected(server, ACTOR_SYSTEM) as allowed:
            for subject in subjects:
                await allowed.publish(subject, b"said")
        await until(lambda: len(heard) >= 2, within_s=DEADLINE_S)
    assert heard == [b"said", b"said"]


@pytest.mark.parametrize("service", [API, ACTOR_SYSTEM])
async def test_who_may_pull_can_still_have_any_stream_deleted(server: NatsServer, service: str) -> None:
    """Its client names where a consumer says that it has nothing. Where this fails, docs/security.md may say less."""
    async with connected(server, service) as client:
        await make_consumer(client, OWN[service], "empty")
        await client.publish(
            NEXT.format(OWN[service], "empty"), b'{"no_wait": true}', reply="$JS.API.STREAM.DELETE.IOT_RETAINED"
        )
        await flushed(client)

    async def is_gone() -> bool:
        return "IOT_RETAINED" not in await streams(server)

    await until(is_gone, within_s=DEADLINE_S)


async def make_consumer(client: Client, stream: str, name: str, **config: str) -> None:
    request = {"stream_name": stream, "config": {"name": name, "deliver_policy": "all", "ack_policy": "none", **config}}
    answer = await client.request(
        f"$JS.API.CONSUMER.CREATE.{stream}.{name}", json.dumps(request).encode(), timeout=DEADLINE_S
    )
    assert "error" not in json.loads(answer.data), answer.data
