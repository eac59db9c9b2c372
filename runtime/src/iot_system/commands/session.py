"""What all verbs of the command line have in common: where the system is, how the answer is told, exit codes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from iot_system.client import IotClient
from iot_system.commands.arguments import url
from iot_system.commands.output import complain
from iot_system.commands.tables import Output
from iot_system.errors import IotError, Retry

DEFAULT_URL = "http://127.0.0.1:8000"
REFUSED, LATER, STOPPED, UNREAD = 1, 3, 130, 141
"""Exit codes beside 0 and the parser's 2: it cannot be done so; may succeed later; Ctrl-C; nobody reads it."""
PATIENCE_S = 30.0
Action: TypeAlias = Callable[[IotClient, argparse.Namespace, Output], Awaitable[int | None]]


def add_access(parser: argparse.ArgumentParser, action: Action) -> None:
    """Let ``parser`` take where the system is; ``action`` is what it does, and may return an exit code."""
    there = os.environ.get("IOT_URL")
    parser.add_argument(
        "--url", type=url, default=there or DEFAULT_URL, help=f"REST interface; by default IOT_URL, or {DEFAULT_URL}"
    )
    token = os.environ.get("IOT_TOKEN")
    parser.add_argument("--token", default=token, help="your token; by default from IOT_TOKEN")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object a line")
    parser.set_defaults(action=action)


def run(name: str, parser: argparse.ArgumentParser, argv: list[str]) -> int:
    """Run a verb → its exit code; errors are told in one sentence."""
    arguments = parser.parse_args(argv)
    if not arguments.token:
        parser.error("no token: set IOT_TOKEN to yours, or say --token")
    try:
        return asyncio.run(_run(name, arguments))
    except Retry as error:
        complain(name, error)
        return LATER
    except IotError as error:
        complain(name, error)
        return REFUSED
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:  # as in `iot-system watch | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is not written yet is for nobody
        return UNREAD


async def _run(name: str, arguments: argparse.Namespace) -> int:
    def waiting(why: str) -> None:
        complain(name, f"no answer yet from {arguments.url}, trying for {PATIENCE_S:g} s: {why}")

    async with IotClient(arguments.url, arguments.token, patience_s=PATIENCE_S, waiting=waiting) as iot:
        return await arguments.action(iot, arguments, Output(is_json=arguments.json)) or 0
