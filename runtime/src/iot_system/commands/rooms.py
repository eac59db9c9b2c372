"""``iot-system rooms``: rooms, their state, and commands to all of their devices."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from iot_system.client import IotClient
from iot_system.commands.arguments import assignments, duration, json_or_text, label
from iot_system.commands.output import complain
from iot_system.commands.parser import new_parser
from iot_system.commands.session import LATER, REFUSED, add_access, run
from iot_system.commands.tables import Output, counted
from iot_system.commands.twin import add_desired

_COLUMNS = ("id", "labels", "behaviour", "stale_after_s")


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("rooms", __doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="list rooms by id")
    add_access(listing, _list)
    showing = verbs.add_parser("show", help="show a room's twin")
    putting = verbs.add_parser("set", help="register a room, or overwrite its registration")
    deleting = verbs.add_parser("delete", help="forget a room without devices")
    desiring = verbs.add_parser("desire", help="merge values into the desired state of the room and its devices")
    commanding = verbs.add_parser("command", help="give all devices of a room a command")
    for one in (showing, putting, deleting, desiring, commanding):
        one.add_argument("id")
    putting.add_argument("--behaviour", metavar="MODULE:CLASS")
    putting.add_argument("--label", type=label, action="append", default=[], metavar="NAME=VALUE", dest="labels")
    putting.add_argument("--stale-after", type=duration, metavar="S", help="a member not heard of for so long is stale")
    add_desired(desiring)
    commanding.add_argument("name")
    commanding.add_argument("payload", nargs="?", type=json_or_text, help="JSON, else text")
    commanding.add_argument("--timeout", type=duration, metavar="S", help="the command's life in seconds")
    commanding.add_argument("--wait", type=duration, default=0.0, metavar="S", help="wait so many seconds for its end")
    add_access(showing, _show)
    add_access(putting, _set)
    add_access(deleting, _delete)
    add_access(desiring, _desire)
    add_access(commanding, _command)
    return run("rooms", parser, argv)


async def _list(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await output.records(iot.rooms.list(), _COLUMNS)


async def _show(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    twin = await iot.rooms.twin(arguments.id)
    if output.is_json:
        output.line(twin)
        return
    output.done(f"room {twin.room}, {counted(len(twin.members), 'member')}, desired state of version {twin.version}")
    output.rows(
        ("metric", "last", "min", "max", "avg", "count"),
        [
            {"metric": metric} | msgspec.structs.asdict(one) | {"last": one.last.value}
            for metric, one in sorted(twin.metrics.items())
        ],
    )
    output.rows(
        ("device", "last_seen", "stale"),
        [{"device": id_} | msgspec.structs.asdict(one) for id_, one in sorted(twin.members.items())],
    )
    output.rows(
        ("desired", "value"), [{"desired": name, "value": value} for name, value in sorted(twin.desired.items())]
    )


async def _set(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    registration: dict[str, Any] = {"labels": dict(arguments.labels)}
    if arguments.behaviour is not None:
        registration["behaviour"] = arguments.behaviour
    if arguments.stale_after is not None:
        registration["stale_after_s"] = arguments.stale_after
    output.record(await iot.rooms.put(arguments.id, registration))


async def _delete(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await iot.rooms.delete(arguments.id)
    output.done(f"room {arguments.id} is forgotten")


async def _desire(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    patch = assignments(arguments.values)
    output.record(await iot.rooms.desire(arguments.id, patch, if_version=arguments.if_version))


async def _command(iot: IotClient, arguments: argparse.Namespace, output: Output) -> int:
    told = await iot.rooms.command(
        arguments.id, arguments.name, arguments.payload, timeout_s=arguments.timeout, wait_s=arguments.wait
    )
    if output.is_json:
        output.line(told)
    output.rows(("device", "status", "result", "reason"), [msgspec.structs.asdict(one) for one in told.commands])
    for device, why in sorted(told.refused.items()):
        complain("rooms", f"{device} did not get it: {why}")
    if any(one.is_open for one in told.commands) and arguments.wait:
        return LATER
    is_good = all(one.is_open or one.status == "succeeded" for one in told.commands)
    return 0 if is_good and not told.refused else REFUSED
