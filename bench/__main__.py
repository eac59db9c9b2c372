"""`python -m bench [ingest]`: side-by-side measurements, interleaved, on this machine; nothing is left afterwards."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from iot_system.commands.arguments import count
from iot_system.commands.processes import Children
from iot_system.errors import IotError

from bench import report
from bench.ingest import Report, ingest

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Measure and print; 1 with a sentence where something is missing or failed."""
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("benchmark", nargs="?", choices=("ingest",), default="ingest", help="what to measure")
    parser.add_argument("--rounds", type=count, default=5, metavar="N", help="how often each side is measured (5)")
    parser.add_argument(
        "--messages", type=count, default=50_000, metavar="N", help="messages of a side in a round, 6 readings each"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    try:
        measured = asyncio.run(_run(arguments.rounds, arguments.messages))
    except IotError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except asyncio.CancelledError:
        sys.stderr.write("bench: stopped\n")
        return 130
    print(report.text(measured))
    if arguments.json is not None:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2))
    return 0


async def _run(rounds: int, messages: int) -> Report:
    # Short, for the names of Ray's sockets, of which the system allows 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="iot-bench-", dir="/tmp"))
    children = Children(folder)
    measuring = asyncio.current_task()
    assert measuring is not None
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, measuring.cancel)
    began_s = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {what}", flush=True)

    try:
        return await ingest(rounds=rounds, messages=messages, folder=folder, children=children, tell=tell)
    finally:
        await children.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
