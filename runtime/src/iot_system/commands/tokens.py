"""``iot-system tokens``: tokens of people and programs."""

from __future__ import annotations

import argparse
import time

from iot_system.client import IotClient
from iot_system.commands.arguments import duration
from iot_system.commands.parser import new_parser
from iot_system.commands.session import add_access, run
from iot_system.commands.tables import Output

ROLES = ("viewer", "operator", "admin")
DAY_MS = 86_400_000
_COLUMNS = ("id", "name", "role", "scopes", "created", "created_by", "expires")


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("tokens", __doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    creating = verbs.add_parser("create", help="make a token; it is shown this once")
    creating.add_argument("name", help="whose it is")
    creating.add_argument("role", choices=ROLES)
    creating.add_argument(
        "--scope", action="append", default=[], metavar="room:ID", help="narrow it; or label:NAME=VALUE; repeatable"
    )
    creating.add_argument("--days", type=duration, metavar="N", help="it expires after so many days")
    add_access(creating, _create)
    listing = verbs.add_parser("list", help="list tokens by id")
    add_access(listing, _list)
    deleting = verbs.add_parser("delete", help="make a token invalid")
    deleting.add_argument("id")
    add_access(deleting, _delete)
    return run("tokens", parser, argv)


async def _create(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    expires = None if arguments.days is None else round(time.time() * 1000 + arguments.days * DAY_MS)
    output.issued(await iot.tokens.create(arguments.name, arguments.role, scopes=arguments.scope, expires=expires))


async def _list(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await output.records(iot.tokens.list(), _COLUMNS)


async def _delete(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    await iot.tokens.delete(arguments.id)
    output.done(f"token {arguments.id} is not valid any more")
