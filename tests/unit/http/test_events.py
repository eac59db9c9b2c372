"""Server-Sent Events over a real server: their form, resuming, and that a stream ends when it must."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from chart_harness.waiting import until
from iot_system.adapters.http import events as http_events
from iot_system.domain.events import Event, encode_events
from iot_system.ports.events import Gap, Occurrence, Position
from iot_system.services.asking import Asking
from iot_system.services.events import Hub
from iot_system.services.rooms import ActorRooms

from tests.unit.http.expected import problem
from tests.unit.http.raw import Connection
from tests.unit.http.serving import Served
from tests.unit.services.memory_log import MemoryLog
from tests.unit.services.memory_requests import MemoryRequests, Switchboard

DEADLINE_S = 20.0


class Live:
    """A hub whose events the test makes."""

    def __init__(self, served: Served) -> None:
        self.events = MemoryLog()
        requests = MemoryRequests(Switchboard())
        self.hub = Hub(
            self.events,
            MemoryLog(),
            requests,
            registered=served.gateway.registered,
            rooms=ActorRooms(Asking(requests, 4)),
            partition_of=lambda _: 0,
        )

    def happen(self, number: int, device: str = "one", data: str = "") -> None:
        self.events.append(encode_events([Event(kind="twin", time_us=number * 1000, device=device, data={"d": data})]))


@pytest.fixture
async def live(served: Served) -> AsyncIterator[Live]:
    await served.register("one", "two")
    one = Live(served)
    await one.hub.start()
    served.gateway.events = one.hub  # type: ignore[assignment]
    yield one
    await one.hub.stop()


class Reading:
    """The lines of one stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def message(self) -> dict[str, str]:
        """The next message, or comment, field by field."""
        found: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_S):
            async for line in self._lines:
                if not line:
                    return found
                name, _, value = line.partition(":")
                found[name] = value.removeprefix(" ")
        raise EOFError

    async def ended(self) -> bool:
        """Whether the server ends it in time, whatever else comes before."""
        try:
            while True:
                await self.message()
        except EOFError:
            return True


@asynccontextmanager
async def reading(client: httpx.AsyncClient, query: str = "", last_id: str | None = None) -> AsyncIterator[Reading]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with client.stream("GET", f"/v1/events{query}", headers=headers) as response:
        assert response.status_code == 200
        yield Reading(response)


async def test_a_stream_begins_with_where_it_is_and_tells_each_event(served: Served, live: Live) -> None:
    live.happen(1)
    async with reading(served.admin) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"
        assert await stream.message() == {"retry": "1000", "id": "1-0"}
        live.happen(2, data="line\nbreak")
        message = await stream.message()
        assert (message["id"], message["event"]) == ("2-0", "twin")
        assert json.loads(message["data"]) == {
            "kind": "twin",
            "ts": 2,
            "device": "one",
            "room": None,
            "data": {"d": "line\nbreak"},
        }


async def test_a_stream_is_resumed_where_it_broke(served: Served, live: Live) -> None:
    for number in (1, 2, 3):
        live.happen(number)
    async with reading(served.admin, last_id="1-0") as stream:
        await stream.message()
        assert [(await stream.message())["id"] for _ in range(2)] == ["2-0", "3-0"]


async def test_a_query_narrows_what_comes(served: Served, live: Live) -> None:
    async with reading(served.admin, "?device=two&device=three&kind=twin&kind=alert") as stream:
        await stream.message()
        live.happen(1, device="one")
        live.happen(2, device="two")
        assert (await stream.message())["id"] == "2-0"


async def test_a_device_hears_of_itself(served: Served, live: Live) -> None:
    async with reading(await served.as_device("two"), "?device=me") as stream:
        await stream.message()
        live.happen(1, device="one")
        live.happen(2, device="two")
        assert (await stream.message())["id"] == "2-0"


async def test_what_may_be_missing_is_an_event_of_its_own(served: Served) -> None:
    served.gateway.events.happened = [
        Gap(Position(3, 4), "the stream was lost"),
        Occurrence(Position(3, 5), "reading", 1000, "one", "lab", {"t": 21.5}, 10),
    ]
    async with reading(served.admin) as stream:
        await stream.message()
        gap, one = await stream.message(), await stream.message()
        assert (gap["id"], gap["event"]) == ("3-4", "gap")
        assert json.loads(gap["data"]) == {"kind": "gap", "data": {"reason": "the stream was lost"}}
        assert json.loads(one["data"])["data"] == {"values": {"t": 21.5}}


async def test_a_quiet_stream_shows_that_it_lives(served: Served, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_events, "HEARTBEAT_S", 0.01)
    async with reading(served.admin) as stream:
        await stream.message()
        assert await stream.message() == {"": ""}


@pytest.mark.parametrize(
    ("query", "last_id", "detail"),
    [
        ("?kind=weather", None, "kind is 'weather'; it is one of twin, command, connection, alert, room, error, readi"),
        ("?device=a%20b", None, "device is "),
        ("?room=", None, "room is "),
        ("?device=me", None, "this client is not a device"),
        ("?devices=one", None, "query parameter 'devices' is not known"),
        ("", "12", "position '12' is not EVENTS-READINGS"),
        ("", "-1-2", "position '-1-2' is not EVENTS-READINGS"),
        ("?" + "&".join(f"device=d{n}" for n in range(101)), None, "device is given 101 times; the limit is 100"),
    ],
)
async def test_a_bad_question_is_refused(served: Served, query: str, last_id: str | None, detail: str) -> None:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    found = problem(await served.admin.get(f"/v1/events{query}", headers=headers), 400, "invalid-input")
    assert detail in found["detail"]


async def test_a_stream_ends_when_what_let_its_reader_in_is_revoked(served: Served, live: Live) -> None:
    async with reading(served.admin) as stream:
        await stream.message()
        await until(lambda: served.gateway.revoked, within_s=DEADLINE_S)
        served.gateway.revoked[0]("the token was revoked")
        assert await stream.ended()
    assert served.gateway.revoked == []


async def test_a_stream_does_not_hold_up_the_servers_stop(served: Served, live: Live) -> None:
    async with reading(served.admin) as stream:
        await stream.message()
        async with asyncio.timeout(DEADLINE_S):
            await served.server.stop(deadline_s=DEADLINE_S * 10)
        assert await stream.ended()


async def test_a_reader_that_leaves_is_forgotten(served: Served, live: Live) -> None:
    async with reading(served.admin) as stream:
        await stream.message()
        assert live.hub.listenings == 1
    await until(lambda: live.hub.listenings == 0, within_s=DEADLINE_S)


async def test_a_reader_that_never_reads_costs_no_memory(served: Served, live: Live) -> None:
    async with Connection(served.port) as silent:
        await silent.send(Connection.head("GET", "/v1/events", {}))
        await until(lambda: live.hub.listenings == 1, within_s=DEADLINE_S)

        def flood() -> bool:
            live.happen(1, data="x" * 100_000)
            return live.hub.listenings == 0

        await until(flood, within_s=DEADLINE_S)
