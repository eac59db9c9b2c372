"""``iot-system twin``: what a device says of itself, and what is wanted of it."""

from __future__ import annotations

import argparse

from iot_system.client import IotClient
from iot_system.commands.arguments import assignments
from iot_system.commands.parser import new_parser
from iot_system.commands.session import add_access, run
from iot_system.commands.tables import Output


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("twin", __doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    showing = verbs.add_parser("show", help="show a device's twin")
    showing.add_argument("device")
    add_access(showing, _show)
    desiring = verbs.add_parser("desire", help="merge values into the desired state; null removes one")
    desiring.add_argument("device")
    add_desired(desiring)
    add_access(desiring, _desire)
    return run("twin", parser, argv)


def add_desired(parser: argparse.ArgumentParser) -> None:
    """The arguments of a change of desired state."""
    parser.add_argument("values", nargs="+", metavar="NAME=VALUE", help="or a JSON object")
    parser.add_argument("--if-version", type=int, metavar="N", help="only if the version is still N")


async def _show(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    twin = await iot.twins.get(arguments.device)
    output.record(twin, without="latest")
    rows = [{"metric": metric, "value": one.value, "ts": one.ts} for metric, one in sorted(twin.latest.items())]
    output.rows(("metric", "value", "ts"), rows)


async def _desire(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    patch = assignments(arguments.values)
    output.record(await iot.twins.desire(arguments.device, patch, if_version=arguments.if_version))
