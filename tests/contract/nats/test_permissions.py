"""Service by subject, against a real nats-server: what is allowed works, the rest is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import nats.errors
import pytest
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from nats.aio.client import Client as NatsClient

from tests.harness.nats import ADMINISTRATOR, PASSWORD, NatsServer, running_nats

BOTH, NOBODY = {API, ACTOR_SYSTEM}, set[str]()

PUBLISH: dict[str, set[str]] = {
    "iot.frames.7": BOTH,
    "iot.frames.bundle-1": BOTH,
    "iot.events.7": {ACTOR_SYSTEM},
    "iot.readings.7": {ACTOR_SYSTEM},
    "iot.ask.7": {API},
    "iot.ask.any": {API},
    "iot.changed": BOTH,
    "iot.alive": {API},
    "iot.listening": {API},
    "iot.gateway.pod-1": {ACTOR_SYSTEM},
    "iot.gateway.pod-1.sessions": {API},
    "iot.app.u.app.hello": {API},
    "iot.retained.u.app.hello": {API},
    "iot.sessions.0123": {API},
    "_INBOX.api.x.y": NOBODY,
    "_INBOX.actor-system.x.y": NOBODY,
    "_INBOX.x": NOBODY,
    "anything.else": NOBODY,
    "$SYS.REQ.SERVER.PING": NOBODY,
    "$JS.API.INFO": NOBODY,
    "$JS.API.STREAM.NAMES": NOBODY,
    "$JS.API.STREAM.CREATE.MINE": NOBODY,
    "$JS.ACK.IOT_MESSAGES.group.1.1.1.1.0": {API},
    "$JS.ACK.IOT_FRAMES.group.1.1.1.1.0": NOBODY,
    "$JS.API.STREAM.MSG.DELETE.IOT_SESSIONS": {API},
    "$JS.API.STREAM.PURGE.IOT_FRAMES": {ACTOR_SYSTEM},
    "$JS.API.CONSUMER.DURABLE.CREATE.IOT_MESSAGES.group": {API},
    "$JS.API.CONSUMER.DURABLE.CREATE.IOT_FRAMES.spy": NOBODY,
}
"""Who may say what."""

SUBSCRIBE: dict[str, set[str]] = {
    "iot.frames.7": NOBODY,
    "iot.frames.>": NOBODY,
    "iot.readings.7": NOBODY,
    "iot.events.7": {API},
    "iot.ask.7": {ACTOR_SYSTEM},
    "iot.ask.any": {ACTOR_SYSTEM},
    "iot.changed": {API},
    "iot.alive": BOTH,
    "iot.listening": {ACTOR_SYSTEM},
    "iot.gateway.pod-1": {API},
    "iot.gateway.pod-1.sessions": {API},
    "iot.app.>": NOBODY,
    "iot.sessions.*": NOBODY,
    "_INBOX.api.x.*": {API},
    "_INBOX.actor-system.x.*": {ACTOR_SYSTEM},
    "_INBOX.>": NOBODY,
    ">": NOBODY,
    "$SYS.>": NOBODY,
    "$JS.API.>": NOBODY,
}
"""Who may hear what."""

STREAMS: dict[str, dict[str, set[str]]] = {
    "IOT_FRAMES": {"look": BOTH, "provide": {ACTOR_SYSTEM}, "read": {ACTOR_SYSTEM}, "get": {ACTOR_SYSTEM}},
    "IOT_EVENTS": {"look": BOTH, "provide": {ACTOR_SYSTEM}, "read": {API}, "get": NOBODY},
    "IOT_READINGS": {"look": BOTH, "provide": {ACTOR_SYSTEM}, "read": {API}, "get": NOBODY},
    **{
        stream: {"look": {API}, "provide": {API}, "read": {API}, "get": {API}}
        for stream in ("IOT_MESSAGES", "IOT_RETAINED", "IOT_SESSIONS")
    },
}
"""Who may do what with which stream."""
REQUESTS = {
    "look": ("STREAM.INFO.{}",),
    "provide": ("STREAM.CREATE.{}", "STREAM.UPDATE.{}"),
    "read": (
        "CONSUMER.CREATE.{}",
        "CONSUMER.CREATE.{}.name.filter",
        "CONSUMER.INFO.{}.name",
        "CONSUMER.DELETE.{}.name",
        "CONSUMER.MSG.NEXT.{}.name",
    ),
    "get": ("STREAM.MSG.GET.{}",),
    "never": ("STREAM.DELETE.{}", "STREAM.SNAPSHOT.{}", "STREAM.RESTORE.{}", "DIRECT.GET.{}"),
}


def all_published() -> dict[str, set[str]]:
    """`PUBLISH`, and each request of `STREAMS`."""
    found = dict(PUBLISH)
    for stream, who in STREAMS.items():
        for verb, requests in REQUESTS.items():
            found |= {f"$JS.API.{one.format(stream)}": who.get(verb, NOBODY) for one in requests}
    return found


class Client:
    """A service's connection, and what was refused on it."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.connection = NatsClient()

    async def connect(self, server: NatsServer, service: str) -> None:
        async def on_error(error: Exception) -> None:
            self.refused.append(str(error))

        await self.connection.connect(
            server.url, user=service, password=PASSWORD, error_cb=on_error, inbox_prefix=f"_INBOX.{service}"
        )

    async def is_refused(self, verb: str, subject: str) -> bool:
        """Whether the server says so of exactly this; it answers in order."""
        self.refused.clear()
        if verb == "publish":
            await self.connection.publish(subject, b"")
        else:
            await (await self.connection.subscribe(subject)).unsubscribe(limit=1)
        for _ in range(2):
            await self.connection.flush(timeout=10)
        told = [one for one in self.refused if f'"{subject.lower()}"' in one.lower()]
        assert len(told) == len(self.refused) <= 1, self.refused
        return bool(told)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with running_nats(tmp_path) as running:
        yield running


@pytest.mark.parametrize("service", [API, ACTOR_SYSTEM])
async def test_each_service_may_do_what_the_table_says_and_nothing_else(server: NatsServer, service: str) -> None:
    client = Client()
    await client.connect(server, service)
    for verb, table in (("publish", all_published()), ("subscribe", SUBSCRIBE)):
        wrong = {
            subject: "allowed" if service in who else "refused"
            for subject, who in table.items()
            if await client.is_refused(verb, subject) is (service in who)
        }
        assert wrong == {}, f"what {service} should be, to {verb}"
    await client.connection.close()


async def test_who_is_asked_may_answer_once(server: NatsServer) -> None:
    asking, answering = Client(), Client()
    await asking.connect(server, API)
    await answering.connect(server, ACTOR_SYSTEM)
    questions = await answering.connection.subscribe("iot.ask.7")
    await answering.connection.flush()
    reply = asking.connection.new_inbox()
    replies = await asking.connection.subscribe(reply)
    await asking.connection.publish("iot.ask.7", b"?", reply=reply)
    question = await questions.next_msg(timeout=10)
    await question.respond(b"!")
    assert (await replies.next_msg(timeout=10)).data == b"!"
    assert await answering.is_refused("publish", reply)
    for client in (asking, answering):
        await client.connection.close()


@pytest.mark.parametrize(("user", "password"), [(API, "wrong"), ("nobody", PASSWORD), (ADMINISTRATOR, "")])
async def test_another_s_name_without_its_password_is_nobody(server: NatsServer, user: str, password: str) -> None:
    with pytest.raises(nats.errors.Error, match="Authorization"):
        await nats.connect(server.url, user=user, password=password, allow_reconnect=False)
