"""``iot-system commands``: requests to a device, and what became of them."""

from __future__ import annotations

import argparse
from typing import get_args

from iot_system.client import IotClient
from iot_system.commands.arguments import duration, json_or_text
from iot_system.commands.parser import new_parser
from iot_system.commands.session import LATER, REFUSED, add_access, run
from iot_system.commands.tables import Output
from iot_system.domain.commands import CommandStatus

STATUSES = (*get_args(CommandStatus), "pending")
_COLUMNS = ("id", "name", "payload", "status", "created", "result", "reason")


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("commands", __doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    sending = verbs.add_parser("send", help="give a device a command; with --wait 1 unless it succeeds, 3 while open")
    sending.add_argument("device")
    sending.add_argument("name")
    sending.add_argument("payload", nargs="?", type=json_or_text, help="JSON, else text")
    sending.add_argument("--wait", type=duration, default=0.0, metavar="S", help="wait so many seconds for its end")
    sending.add_argument("--timeout", type=duration, metavar="S", help="the command's life in seconds")
    sending.add_argument("--id", help="the same id again is the same command")
    add_access(sending, _send)
    showing = verbs.add_parser("show", help="show a command")
    listing = verbs.add_parser("list", help="list a device's commands, the newest first")
    cancelling = verbs.add_parser("cancel", help="cancel a command unless it is at its end")
    for one in (showing, listing, cancelling):
        one.add_argument("device")
    for one in (showing, cancelling):
        one.add_argument("id")
    listing.add_argument("--status", choices=STATUSES, help="pending: those not at their end, the oldest first")
    add_access(showing, _show)
    add_access(listing, _list)
    add_access(cancelling, _cancel)
    return run("commands", parser, argv)


async def _send(iot: IotClient, arguments: argparse.Namespace, output: Output) -> int:
    command = await iot.commands.send(
        arguments.device,
        arguments.name,
        arguments.payload,
        timeout_s=arguments.timeout,
        id_=arguments.id,
        wait_s=arguments.wait,
    )
    output.record(command)
    if not arguments.wait or command.status == "succeeded":
        return 0
    return LATER if command.is_open else REFUSED


async def _show(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    output.record(await iot.commands.get(arguments.device, arguments.id))


async def _list(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await output.records(iot.commands.list(arguments.device, status=arguments.status), _COLUMNS)


async def _cancel(iot: IotClient, arguments: argparse.Namespace, output: Output) -> int:
    command = await iot.commands.cancel(arguments.device, arguments.id)
    output.record(command)
    return 0 if command.status == "cancelled" else REFUSED
