"""What is tried again, what is not, and what a refusal becomes."""

from __future__ import annotations

import pytest
from chart_harness.loopback import free_port
from iot_system import errors
from iot_system.client import IotClient, Message, NewDevice, SystemFault
from iot_system.client.telemetry import RECOGNISED
from iot_system.domain.recognising import RECENT_IDS

from tests.unit.client.scripted import CUT, answer, problem, scripted

DEVICE = '{"id":"a","room":null,"behaviour":"m:C","labels":{},"enabled":true,"created":1,"updated":1}'
COMMAND = '{"id":"c","device":"a","name":"n","status":"queued","created":1,"updated":1,"expires":2}'


async def test_what_comes_later_is_waited_for() -> None:
    busy = problem(503, "unavailable", "no owner", headers="Retry-After: 1\r\n")
    async with scripted(busy, CUT, answer(502), answer(200, DEVICE)) as server, IotClient(server.url, "t") as iot:
        assert (await iot.devices.get("a")).id == "a"
        assert len(server.requests) == 4


async def test_patience_has_an_end_that_tells_why() -> None:
    async with IotClient(f"http://127.0.0.1:{free_port()}", "t", patience_s=0.0) as iot:
        with pytest.raises(errors.Unavailable, match="gave no answer to GET /v1/devices/a"):
            await iot.devices.get("a")


async def test_what_may_be_done_already_is_not_repeated() -> None:
    async with scripted(CUT) as server, IotClient(server.url, "t") as iot:
        with pytest.raises(errors.Unavailable, match="may be done or not"):
            await iot.devices.create(NewDevice(id="a"))
        assert len(server.requests) == 1


async def test_what_was_certainly_not_done_is_repeated() -> None:
    busy = problem(429, "overloaded", "too many")
    async with scripted(busy, answer(201, DEVICE)) as server, IotClient(server.url, "t") as iot:
        assert (await iot.devices.create(NewDevice(id="a"))).id == "a"


async def test_a_command_is_repeated_with_the_same_id() -> None:
    async with scripted(CUT, answer(202, COMMAND)) as server, IotClient(server.url, "t") as iot:
        await iot.commands.send("a", "n")
        first, second = (request.partition("\r\n\r\n")[2] for request in server.requests)
        assert first == second
        assert '"id":"' in first


async def test_a_message_without_time_is_repeated_with_an_id_of_its_own() -> None:
    async with scripted(CUT, answer(202, '{"accepted":1}')) as server, IotClient(server.url, "t") as iot:
        await iot.telemetry.send("a", {"t": 1.5})
        first, second = (request.partition("\r\n\r\n")[2] for request in server.requests)
        assert first == second
        assert '"id":"' in first


async def test_items_that_may_pass_later_are_sent_again_alone() -> None:
    partial = (
        '{"accepted":1,"rejected":['
        '{"line":2,"type":"/problems/unavailable","detail":"no owner"},'
        '{"line":3,"type":"/problems/not-found","detail":"device \'c\' is not registered"}]}'
    )
    messages = [Message(device=id_, ts=1, values={"t": 1}) for id_ in "abc"]
    async with scripted(answer(202, partial), answer(202, '{"accepted":1}')) as server:
        async with IotClient(server.url, "t") as iot:
            sent = await iot.telemetry.send_many(messages)
        assert sent.accepted == 2
        assert [(one.index, one.message.device, type(one.error)) for one in sent.refused] == [(2, "c", errors.NotFound)]
        assert server.requests[1].endswith('{"device":"b","values":{"t":1},"ts":1}')


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "invalid-input", errors.InvalidInput),
        (401, "unauthenticated", errors.Unauthenticated),
        (403, "forbidden", errors.Forbidden),
        (404, "not-found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (412, "precondition-failed", errors.PreconditionFailed),
        (413, "too-large", errors.TooLarge),
        (418, "teapot", errors.InvalidInput),
        (500, "internal-error", SystemFault),
    ],
)
async def test_a_problem_is_raised_as_the_error_that_it_is(status: int, name: str, kind: type[Exception]) -> None:
    async with scripted(problem(status, name, "so it is")) as server, IotClient(server.url, "t") as iot:
        with pytest.raises(kind, match="so it is") as caught:
            await iot.devices.get("a")
        assert type(caught.value) is kind


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"id":1}'])
async def test_an_answer_of_another_shape_is_a_fault_of_the_system(body: str) -> None:
    async with scripted(answer(200, body)) as server, IotClient(server.url, "t") as iot:
        with pytest.raises(SystemFault, match="GET /v1/devices/a"):
            await iot.devices.get("a")


async def test_a_refusal_in_other_words_is_told_by_its_status() -> None:
    async with scripted(answer(403, "no way")) as server, IotClient(server.url, "t") as iot:
        with pytest.raises(errors.Forbidden, match="no way"):
            await iot.devices.get("a")


async def test_events_go_on_where_the_connection_broke() -> None:
    def stream(text: str) -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{text}".encode()

    first = stream('id: 4-1\nevent: twin\ndata: {"ts":1,"device":"a","data":{"version":1}}\n\nid: 5-1\nevent: tw')
    second = stream('id: 5-1\nevent: twin\ndata: {"ts":2,"device":"a","data":{"version":2}}\n\n')
    async with (
        scripted(first, answer(503), CUT, second) as server,
        IotClient(server.url, "t") as iot,
        iot.events.listen(devices=["a"], kinds=["twin"], after="3-1") as events,
    ):
        found = [await anext(events), await anext(events)]
        assert events.last_id == "5-1"
    assert [(one.id, one.kind, one.data["version"]) for one in found] == [("4-1", "twin", 1), ("5-1", "twin", 2)]
    resumed = [request.lower().split("last-event-id: ")[1].split("\r\n")[0] for request in server.requests]
    assert resumed == ["3-1", "4-1", "4-1", "4-1"]
    assert "GET /v1/events?device=a&kind=twin " in server.requests[0]


async def test_events_that_are_refused_are_not_tried_again() -> None:
    async with scripted(problem(403, "forbidden", "not yours")) as server, IotClient(server.url, "t") as iot:
        with pytest.raises(errors.Forbidden, match="not yours"):
            async with iot.events.listen(rooms=["lab"]):
                raise AssertionError


async def test_no_more_messages_are_on_the_way_than_the_system_recognises_by_their_ids() -> None:
    assert RECOGNISED == RECENT_IDS
    messages = [Message(device=id_, values={"t": n}) for n in range(40) for id_ in "ab"]
    timed = [Message(device="a", values={"t": n}, ts=n) for n in range(100)]
    answers = [answer(202, f'{{"accepted":{count}}}') for count in (64, 16 + 100)]
    async with scripted(*answers) as server, IotClient(server.url, "t") as iot:
        await iot.telemetry.send_many([*messages, *timed])
        assert [request.count('"id"') for request in server.requests] == [64, 16]


async def test_who_waits_long_is_told_why_and_once() -> None:
    told: list[str] = []
    busy = problem(503, "unavailable", "no owner", headers="Retry-After: 1\r\n")
    async with (
        scripted(busy, busy, busy, answer(200, DEVICE), busy, answer(200, DEVICE)) as server,
        IotClient(server.url, "t", waiting=told.append) as iot,
    ):
        await iot.devices.get("a")
        assert len(told) == 1
        assert "no owner" in told[0]
        await iot.devices.get("a")
        assert len(told) == 1, "one that is answered soon is not worth a word"
