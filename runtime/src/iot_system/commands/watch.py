"""``iot-system watch``: readings, twins, commands, connections and alerts as they happen, until Ctrl-C."""

from __future__ import annotations

import argparse
from typing import get_args

from iot_system.client import IotClient
from iot_system.client.records import Event
from iot_system.commands.output import say
from iot_system.commands.parser import new_parser
from iot_system.commands.session import add_access, run
from iot_system.commands.tables import Output, shown, time_text
from iot_system.domain.events import EventKind

KINDS = ("reading", *get_args(EventKind))


def main(argv: list[str]) -> int:
    """Run the command."""
    parser = new_parser("watch", __doc__)
    parser.add_argument("--device", action="append", default=[], metavar="ID", help="only of this device; repeatable")
    parser.add_argument("--room", action="append", default=[], metavar="ID", help="only of this room; repeatable")
    parser.add_argument("--kind", action="append", default=[], choices=KINDS, help="only of this kind; repeatable")
    parser.add_argument("--after", metavar="ID", help="resume after the event with this id")
    add_access(parser, _watch)
    return run("watch", parser, argv)


async def _watch(iot: IotClient, arguments: argparse.Namespace, output: Output) -> None:
    listening = iot.events.listen(
        devices=arguments.device, rooms=arguments.room, kinds=arguments.kind, after=arguments.after
    )
    async with listening as events:
        async for event in events:
            if output.is_json:
                output.line(event)
            else:
                say(line_of(event))


def line_of(event: Event) -> str:
    """When, what, whose, and what the event says, as ``temperature 21.5, humidity 40``."""
    who = f"device {event.device}" if event.device else f"room {event.room}" if event.room else "-"
    when = "-" if event.ts is None else time_text(event.ts)
    data = event.data["values"] if event.kind == "reading" else event.data
    told = ", ".join(f"{name.replace('_', ' ')} {shown(name, value)}" for name, value in data.items())
    return f"{when}  {event.kind:<10}  {who}  {told}"
