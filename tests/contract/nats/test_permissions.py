"""Service by subject, against a real nats-server: what is allowed works, the rest is refused."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import nats
import nats.errors
import pytest
from iot_system.adapters import nats as adapters
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from nats.aio.client import Client as NatsClient

from tests.harness.helm import ROOT
from tests.harness.nats import ADMINISTRATOR, PASSWORD, NatsServer, flushed

SERVICES = (API, ACTOR_SYSTEM)
PUBLISH: dict[str, set[str]] = {
    "_INBOX.x": set(),
    "_INBOX.administrator.x": set(),
    "anything.else": set(),
    "iot": set(),
    "iot.gateway.pod-1.other": set(),
    "$SYS.REQ.SERVER.PING": set(),
    "$JS.API.INFO": set(),
    "$JS.API.STREAM.NAMES": set(),
    "$JS.API.STREAM.LIST": set(),
    "$JS.API.STREAM.CREATE.MINE": set(),
    "$JS.API.STREAM.UPDATE.MINE": set(),
}
"""Who may say what beside the tables of the documentation."""
SUBSCRIBE: dict[str, set[str]] = {
    "iot.frames.>": set(),
    "iot.app.>": set(),
    "iot.sessions.*": set(),
    "iot.gateway.*": {API},
    "_INBOX.>": set(),
    ">": set(),
    "$SYS.>": set(),
    "$JS.API.>": set(),
}
"""Who may hear what beside them."""
REQUESTS = {
    "look": ("STREAM.INFO.{}",),
    "read": (
        "CONSUMER.CREATE.{}",
        "CONSUMER.CREATE.{}.name.filter",
        "CONSUMER.INFO.{}.name",
        "CONSUMER.DELETE.{}.name",
        "CONSUMER.MSG.NEXT.{}.name",
    ),
    "get": ("STREAM.MSG.GET.{}",),
    "trim": ("STREAM.PURGE.{}",),
    "drop": ("STREAM.MSG.DELETE.{}",),
    "never": (
        *(f"STREAM.{verb}.{{}}" for verb in ("CREATE", "UPDATE", "DELETE", "SNAPSHOT", "RESTORE")),
        *(f"STREAM.{verb}.{{}}" for verb in ("PEER.REMOVE", "LEADER.STEPDOWN")),
        *(f"CONSUMER.{verb}.{{}}.name" for verb in ("DURABLE.CREATE", "PAUSE", "RESET", "LEADER.STEPDOWN")),
        *("CONSUMER.NAMES.{}", "CONSUMER.LIST.{}", "DIRECT.GET.{}"),
    ),
}
"""What each word of the table of streams means, in JetStream's."""


def documented(name: str) -> dict[str, list[str]]:
    """A table of docs/security.md: the first column → the last two, what api and actor-system may."""
    [table] = re.findall(
        rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", (ROOT / "docs" / "security.md").read_text(), re.DOTALL
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0].strip("`"): row[-2:] for row in rows}


def who(cells: list[str], verb: str) -> set[str]:
    """The services in whose cell the word stands."""
    return {service for service, cell in zip(SERVICES, cells, strict=True) if verb in cell.split(", ")}


def allowed(verb: str) -> dict[str, set[str]]:
    """Subject → which services may publish or subscribe to it, by all tables."""
    found = dict(PUBLISH if verb == "publish" else SUBSCRIBE)
    for subject, cells in documented("subjects").items():
        found[re.sub(r"{\w+}", "7", subject)] = who(cells, verb)
    if verb == "publish":
        for stream, cells in documented("streams").items():
            for word, requests in REQUESTS.items():
                found |= {f"$JS.API.{one.format(stream)}": who(cells, word) for one in requests}
            found[f"$JS.ACK.{stream}.group.1.1.1.1.0"] = who(cells, "share")
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
        await flushed(self.connection)
        told = [one for one in self.refused if f'"{subject.lower()}"' in one.lower()]
        assert len(told) == len(self.refused) <= 1, self.refused
        return bool(told)


@pytest.mark.parametrize("service", [API, ACTOR_SYSTEM, ADMINISTRATOR])
async def test_each_user_may_do_what_the_tables_say_and_nothing_else(server: NatsServer, service: str) -> None:
    client = Client()
    await client.connect(server, service)
    for verb in ("publish", "subscribe"):
        wrong = {
            subject: "allowed" if may else "refused"
            for subject, services in allowed(verb).items()
            if await client.is_refused(verb, subject) is (may := service in {ADMINISTRATOR, *services})
        }
        assert wrong == {}, f"what {service} should be, to {verb}"
    await client.connection.close()


async def test_nobody_not_even_the_administrator_is_in_the_account_of_the_servers(server: NatsServer) -> None:
    client = Client()
    await client.connect(server, ADMINISTRATOR)
    with pytest.raises(nats.errors.NoRespondersError):
        await client.connection.request("$SYS.REQ.SERVER.PING", timeout=10)
    await client.connection.close()


async def test_who_has_no_name_is_refused(tmp_path: Path) -> None:
    server = await asyncio.to_thread(NatsServer(tmp_path, nameless=False).start)
    try:
        with pytest.raises(nats.errors.Error, match="Authorization"):
            await nats.connect(server.url, allow_reconnect=False)
    finally:
        server.stop()


def test_every_subject_and_stream_of_the_code_stands_in_a_table() -> None:
    code = "\n".join(path.read_text() for path in Path(adapters.__file__).parent.rglob("*.py"))
    families = {".".join(subject.split(".")[:2]) for subject in documented("subjects")}
    assert set(re.findall(r'"(iot\.[a-z]+)', code)) == {one for one in families if one.startswith("iot.")}
    assert set(re.findall(r'"(IOT_[A-Z]+)"', code)) == documented("streams").keys()


async def test_who_is_asked_may_answer_once(server: NatsServer) -> None:
    asking, answering = Client(), Client()
    await asking.connect(server, API)
    await answering.connect(server, ACTOR_SYSTEM)
    questions = await answering.connection.subscribe("iot.ask.7")
    await flushed(answering.connection)
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
