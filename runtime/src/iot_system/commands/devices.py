"""``iot-system devices``: the registry, and tokens of devices."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import msgspec

from iot_system.client import IotClient, NewDevice
from iot_system.commands.arguments import label
from iot_system.commands.output import complain
from iot_system.commands.parser import new_parser
from iot_system.commands.session import REFUSED, add_access, run
from iot_system.commands.tables import Output
from iot_system.domain.registry import DEFAULT_BEHAVIOUR
from iot_system.errors import InvalidInput

LINES_SHOWN = 10
_COLUMNS = ("id", "room", "enabled", "labels", "behaviour", "updated")


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("devices", __doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="list devices by id")
    listing.add_argument("--room", metavar="ID", help="only those of this room")
    listing.add_argument("--label", metavar="NAME=VALUE", help="only those with this label")
    add_access(listing, _list)
    showing = verbs.add_parser("show", help="show a device's registration")
    showing.add_argument("id")
    add_access(showing, _show)
    creating = verbs.add_parser("create", help="register a device")
    creating.add_argument("id")
    creating.add_argument("--room", metavar="ID")
    creating.add_argument("--behaviour", default=DEFAULT_BEHAVIOUR, metavar="MODULE:CLASS")
    creating.add_argument("--label", type=label, action="append", default=[], metavar="NAME=VALUE", dest="labels")
    creating.add_argument("--gateway", metavar="ID", help="the device that may speak for it")
    creating.add_argument("--disabled", action="store_true", help="do not let it in yet")
    add_access(creating, _create)
    deleting = verbs.add_parser("delete", help="remove a device with everything known of it")
    deleting.add_argument("id")
    add_access(deleting, _delete)
    importing = verbs.add_parser("import", help="register the devices of a file, a JSON object a line")
    importing.add_argument("file", type=Path)
    add_access(importing, _import)
    issuing = verbs.add_parser("token", help="make a token for a device; it is shown this once")
    issuing.add_argument("id")
    add_access(issuing, _token)
    tokens = verbs.add_parser("credentials", help="list a device's credentials, the tokens not among them")
    tokens.add_argument("id")
    add_access(tokens, _credentials)
    revoking = verbs.add_parser("revoke", help="make one token of a device invalid")
    revoking.add_argument("id")
    revoking.add_argument("credential", help="as told when it was made, and by `devices credentials`")
    add_access(revoking, _revoke)
    for name, is_enabled, what in (
        ("disable", False, "let a device in no more until it is enabled; its tokens stay"),
        ("enable", True, "let a device in again"),
    ):
        changing = verbs.add_parser(name, help=what)
        changing.add_argument("id")
        add_access(changing, partial(_enable, is_enabled=is_enabled))
    return run("devices", parser, argv)


async def _list(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await output.records(iot.devices.list(room=arguments.room, label=arguments.label), _COLUMNS)


async def _show(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    output.record(await iot.devices.get(arguments.id))


async def _create(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    new = NewDevice(
        id=arguments.id,
        room=arguments.room,
        behaviour=arguments.behaviour,
        labels=dict(arguments.labels),
        enabled=not arguments.disabled,
        gateway=arguments.gateway,
    )
    output.record(await iot.devices.create(new))


async def _delete(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await iot.devices.delete(arguments.id)
    output.done(f"device {arguments.id} is removed")


async def _import(iot: IotClient, arguments: argparse.Namespace, output: Output) -> int:
    imported = await iot.devices.register(_read(arguments.file))
    existed, refused = len(imported.existing), len(imported.refused)
    output.done(f"{imported.created:,} registered, {existed:,} existed, {refused:,} refused")
    if output.is_json:
        output.line(imported)
    for id_, why in list(imported.refused.items())[:LINES_SHOWN]:
        complain("devices", f"{id_} was refused: {why}")
    return REFUSED if imported.refused else 0


async def _token(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    output.issued(await iot.devices.issue_token(arguments.id))


async def _credentials(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await output.records(iot.devices.credentials(arguments.id), ("credential", "created"))


async def _revoke(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await iot.devices.revoke(arguments.id, arguments.credential)
    output.done(f"credential {arguments.credential} of device {arguments.id} is not valid any more")


async def _enable(iot: IotClient, arguments: argparse.Namespace, output: Output, *, is_enabled: bool) -> None:
    output.record(await iot.devices.patch(arguments.id, {"enabled": is_enabled}))


def _read(path: Path) -> list[NewDevice]:
    """Raises `InvalidInput`; nothing is registered then."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    devices = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                devices.append(msgspec.json.decode(line, type=NewDevice))
            except msgspec.DecodeError as error:
                raise InvalidInput(f"{path}, line {number}: {error}") from None
    return devices
