"""Events as they happen: Server-Sent Events (HTML standard, section 9.2), resumable by `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator
from typing import Annotated, Any, get_args

import msgspec
from litestar import get
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from iot_system.adapters.http import problems
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.rules import ID_PATTERN
from iot_system.domain.events import EventKind
from iot_system.domain.ids import ID_LENGTH_LIMIT, check_id
from iot_system.domain.readings import milliseconds, stamp
from iot_system.errors import InvalidInput, IotError
from iot_system.ports.events import Gap, Kind, Listening, Occurrence, Position, Selection
from iot_system.ports.gateway import resolve_me

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
RETRY_MS = 1000
"""After how long a client shall come back where its connection broke."""
NAMES_LIMIT = 100
_KINDS: tuple[Kind, ...] = (*get_args(EventKind), "reading")
_encode = msgspec.json.Encoder().encode
Names = Annotated[
    list[Annotated[str, msgspec.Meta(pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT)]] | None,
    QueryParameter(description="Only these; may be repeated."),
]


@get(
    "/events",
    operation_id="listen",
    summary="Listen to events",
    tags=["events"],
    media_type=MEDIA_TYPE,
    response_headers=[ResponseHeader(name="Cache-Control", value="no-store", documentation_only=True)],
    responses={
        200: ResponseSpec(
            str, generate_examples=False, description="A stream of events that ends seldom", media_type=MEDIA_TYPE
        ),
        **problems.documented(400, 401, 403, 429, 503),
    },
)
async def listen(
    request: ApiRequest,
    device: Names = None,
    room: Names = None,
    kind: Annotated[
        list[str] | None,
        QueryParameter(
            description="Only these; may be repeated.",
            schema_extra={"items": {"type": "string", "enum": list(_KINDS)}},
        ),
    ] = None,
    last_event_id: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", description="The id of the last event that came.")
    ] = None,
) -> Stream:
    """What happens from now on, or from `Last-Event-ID` on as far as it is kept.

    The name of an event is its kind, its data `{"kind", "ts", "device", "room", "data"}`. An event `gap` tells that
    something may be missing before what follows; whoever reads too slowly gets it as the last one, and may come back.
    After a broken connection some events may come twice.
    """
    principal = request.principal
    devices = [check_id(resolve_me(one, principal), field="device") for one in _some(device, "device")]
    selection = Selection(
        devices=frozenset(devices),
        rooms=frozenset(check_id(one, field="room") for one in _some(room, "room")),
        kinds=frozenset(_kind(one) for one in _some(kind, "kind")),
    )
    after = Position.parse(last_event_id) if last_event_id else None
    listening = await request.gateway.events.listen(principal, selection, after=after)
    lines = _lines(request, listening)
    weakref.finalize(lines, listening.close)  # a client that is gone before the first line: it never begins, nor ends
    return Stream(lines, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _lines(request: ApiRequest, listening: Listening) -> AsyncIterator[bytes]:
    stopping: asyncio.Future[None] | None = request.scope["state"].get("stopping")

    def close(_: object) -> None:
        listening.close()

    unwatch = request.gateway.watch(request.principal, close)
    if stopping is not None:
        stopping.add_done_callback(close)
    try:
        # The id alone: whoever loses the connection before the first event can resume from here.
        yield b"retry: %d\nid: %s\n\n" % (RETRY_MS, str(listening.position).encode())
        with contextlib.suppress(IotError):  # nobody can tell now what the client may see: it comes back
            while not listening.is_over:
                one = await listening.next(timeout_s=HEARTBEAT_S)
                if one is not None:
                    yield _message(one)
                elif not listening.is_over:
                    yield b":\n\n"
    finally:
        unwatch()
        if stopping is not None:
            stopping.remove_done_callback(close)
        await listening.leave()


def _message(one: Occurrence | Gap) -> bytes:
    if isinstance(one, Gap):
        return _event("gap", one.position, {"kind": "gap", "data": {"reason": one.reason}})
    body = {
        "kind": one.kind,
        "ts": milliseconds(one.time_us) if one.kind == "reading" else stamp(one.time_us),
        "device": one.device,
        "room": one.room,
        "data": {"values": one.data} if one.kind == "reading" else one.data,
    }
    return _event(one.kind, one.position, body)


def _event(name: str, position: Position, body: dict[str, Any]) -> bytes:
    # JSON without spaces has no line ends.
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(position).encode(), name.encode(), _encode(body))


def _some(names: list[str] | None, parameter: str) -> list[str]:
    if names is not None and len(names) > NAMES_LIMIT:
        raise InvalidInput(f"{parameter} is given {len(names)} times; the limit is {NAMES_LIMIT}")
    return names or []


def _kind(name: str) -> Kind:
    for kind in _KINDS:
        if kind == name:
            return kind
    raise InvalidInput(f"kind is {name[:80]!r}; it is one of {', '.join(_KINDS)}")
