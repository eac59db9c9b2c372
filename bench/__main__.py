"""`python -m bench [BENCHMARK …]`: measurements side by side, on this machine; nothing is left afterwards."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from iot_system.commands.arguments import count
from iot_system.errors import IotError
from iot_system.logs import set_up_logs

from bench import report
from bench.benchmarks import BENCHMARKS
from bench.context import Context
from bench.results import Results, on_this_machine

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Measure and print; 1 with a sentence where something is missing or failed."""
    parser = argparse.ArgumentParser("bench", description=__doc__)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("benchmarks", nargs="*", type=_benchmark, metavar="BENCHMARK", help=f"{names} (all)")
    parser.add_argument("--rounds", type=count, default=5, metavar="N", help="how often each side is measured (5)")
    parser.add_argument(
        "--messages", type=count, default=100_000, metavar="N", help="messages of a side in a round (100,000)"
    )
    parser.add_argument(
        "--devices",
        type=count,
        default=1_000_000,
        metavar="N",
        help="the most devices that anything is tried with (1,000,000)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    set_up_logs("error")
    try:
        results = asyncio.run(_run(arguments, arguments.benchmarks or list(BENCHMARKS)))
    except IotError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except asyncio.CancelledError:
        sys.stderr.write("bench: stopped\n")
        return 130
    print(report.text(results))
    return 0


async def _run(arguments: argparse.Namespace, benchmarks: Sequence[str]) -> Results:
    measuring = asyncio.current_task()
    assert measuring is not None
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, measuring.cancel)
    # Ten thousand connections are ten thousand files, for the server that inherits this and for its clients.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    began_s = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {what}", flush=True)

    minutes = sum(BENCHMARKS[name].minutes for name in benchmarks)
    tell(f"{', '.join(benchmarks)}: about {minutes} minutes with 5 rounds and all devices, on 2 cores")
    context = Context(arguments.rounds, arguments.messages, arguments.devices, tell)
    results = await on_this_machine()
    for name in benchmarks:
        tell(f"--- {name}")
        setattr(results, name, await BENCHMARKS[name].measure(context))
        if arguments.json is not None:  # after each, so that a later failure takes nothing away
            arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))
    return results


def _benchmark(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BENCHMARKS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
