"""``iot-system send``: values of a device, stored durably when it returns."""

from __future__ import annotations

import argparse

from iot_system.client import IotClient
from iot_system.commands.arguments import assignments
from iot_system.commands.parser import new_parser
from iot_system.commands.session import add_access, run
from iot_system.commands.tables import Output, counted


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("send", __doc__)
    parser.add_argument("device", help="the device's id")
    parser.add_argument("values", nargs="+", metavar="NAME=VALUE", help="a metric's value; or a JSON object of them")
    parser.add_argument("--ts", type=float, metavar="MS", help="milliseconds since 1970; by default when it arrives")
    add_access(parser, _send)
    return run("send", parser, argv)


async def _send(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    values = assignments(arguments.values)
    await iot.telemetry.send(arguments.device, values, ts=arguments.ts)
    output.done(f"{counted(len(values), 'value')} stored")
