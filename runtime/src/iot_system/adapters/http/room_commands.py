"""Commands to all devices of a room: one id, one status for each device."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import needs_for_room
from iot_system.adapters.http.commands import CommandBody, CommandPath, CommandRecord, WaitS, new_command, record
from iot_system.adapters.http.requests import ApiRequest
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.rooms import RoomInPath
from iot_system.domain.access import Action
from iot_system.domain.ids import check_id


class RoomCommandRecord(msgspec.Struct):
    """A room's command: ``commands`` tells how far it is at each device, ``refused`` by device why one has none."""

    id: str
    room: str
    commands: list[CommandRecord]
    refused: dict[str, str] = {}


@post(
    "/rooms/{room:str}/commands",
    operation_id="sendRoomCommand",
    summary="Give all devices of a room a command",
    tags=["commands"],
    guards=[needs_for_room(Action.OPERATE)],
    responses=problems.documented(400, 401, 403, 404, 409, 413, 415, 429, 503),
)
async def send_room_command(
    request: ApiRequest, room: RoomInPath, data: JSONBody[CommandBody]
) -> Response[RoomCommandRecord]:
    """Give all devices of a room the same command; those that were refused it are told beside the others.

    The same `id` again reaches those that had no command of it yet. Where every device refused, the answer is a
    refusal.
    """
    room_id = check_id(room, field="room")
    given = await request.gateway.commands.put_in_room(
        room_id, new_command(request, data), scopes=request.principal.scopes
    )
    if not given.commands:
        bad = dict(enumerate(given.refused.values()))
        raise problems.AllRefused(bad, [problems.rejection(error, index=index) for index, error in bad.items()])
    body = RoomCommandRecord(
        given.id,
        room_id,
        [record(one) for one in given.commands],
        {device: str(error) for device, error in given.refused.items()},
    )
    return Response(body, headers={"Location": f"/v1/rooms/{room_id}/commands/{given.id}"})


@get(
    "/rooms/{room:str}/commands/{command:str}",
    operation_id="getRoomCommand",
    summary="Get a room's command",
    tags=["commands"],
    guards=[needs_for_room(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_room_command(
    request: ApiRequest, room: RoomInPath, command: CommandPath, wait_s: WaitS = 0.0
) -> RoomCommandRecord:
    """What became of a room's command at each device; with `wait_s` once all are at their end, or after this time."""
    room_id, id_ = check_id(room, field="room"), check_id(command, field="command")
    found = await request.gateway.commands.of_room(room_id, id_, wait_s=wait_s, scopes=request.principal.scopes)
    return RoomCommandRecord(id_, room_id, [record(one) for one in found])
