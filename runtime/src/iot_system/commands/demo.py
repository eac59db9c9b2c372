"""``iot-system demo``: the whole system here, on real readings, until Ctrl-C; nothing is left afterwards."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

import msgspec

from iot_system.client import IotClient
from iot_system.commands.arguments import Address, port
from iot_system.commands.behaviours import set_up
from iot_system.commands.figures import Figures, read_figures, show_figures, wait_until_applied
from iot_system.commands.installation import HOST, Installation
from iot_system.commands.occupancy import DEVICES, ROOM, Sample, read_sample, shipped_sample
from iot_system.commands.output import complain, say, step
from iot_system.commands.parser import new_parser
from iot_system.commands.replay import Target, replay, report
from iot_system.errors import InvalidInput, IotError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""
CHECK_S = 0.5


def main(argv: list[str]) -> int:
    """Run the command: 0 after the summary, 1 with a sentence where something failed, 130 when stopped before."""
    parser = new_parser("demo", __doc__)
    parser.add_argument("--exit", action="store_true", help="end after the summary")
    parser.add_argument(
        "--data", type=Path, default=shipped_sample(), metavar="FILE", help="CSV; by default the sample"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of the summary there too")
    parser.add_argument("--http-port", type=port, metavar="PORT", help="by default 8000, or another if that is taken")
    parser.add_argument("--mqtt-port", type=port, metavar="PORT", help="by default 1883, or another if that is taken")
    try:
        return asyncio.run(_run(parser.parse_args(argv)))
    except IotError as error:
        complain("demo", error)
        return 1


async def _run(arguments: argparse.Namespace) -> int:
    sample = read_sample(arguments.data)
    if not sample.rows:
        raise InvalidInput(f"{arguments.data} has no line that can be used")
    loop, demo = asyncio.get_running_loop(), asyncio.current_task()
    assert demo is not None
    for number in SIGNALS:
        loop.add_signal_handler(number, demo.cancel)
    is_complete = False
    installation = Installation(http_port=arguments.http_port, mqtt_port=arguments.mqtt_port)
    try:
        await _show(arguments, sample, installation)
        is_complete = True
        if not arguments.exit:
            await _serve(installation)
    except asyncio.CancelledError:
        say("")
        return 0 if is_complete else STOPPED
    finally:
        # A second Ctrl-C must not stop the clearing up, but hasten it.
        for number in SIGNALS:
            loop.add_signal_handler(number, installation.hurry)
        with step("stopped, nothing is left"):
            await installation.stop()
    return 0


async def _show(arguments: argparse.Namespace, sample: Sample, installation: Installation) -> None:
    """Everything up to the summary."""
    began_s = time.monotonic()
    say("Starting NATS, the actor system on Ray with SQLite, and the API:")
    await installation.start()
    async with IotClient(installation.url, installation.admin_token) as iot:
        await set_up(iot)
        say(f"Replaying {arguments.data.name}, half of the devices by MQTT, half by REST:")
        mqtt = Address(HOST, installation.mqtt_port)
        outcome = await replay(Target(installation.url, installation.admin_token, mqtt), sample.rows)
        report(sample, outcome)
        with step("everything is applied"):
            expected = {metric: len(sample.rows) for columns in DEVICES.values() for metric in columns.values()}
            await wait_until_applied(iot, expected, installation.check)
        figures = await read_figures(iot)
        show_figures(figures)
        commands = await _commands_to_try(iot, installation)
    say(f"Done in {time.monotonic() - began_s:.1f} s.")
    if arguments.json is not None:
        _write(arguments.json, figures)
    if not arguments.exit:
        say(f"\nServing REST at {installation.url}/v1 (description at {installation.url}/v1/openapi.json)")
        say(f"and MQTT at {HOST}:{installation.mqtt_port}, until Ctrl-C.")
        say(f"Administrator's token of this run: {installation.admin_token}")
        say("Try:")
        for what, *lines in commands:
            say("\n".join(["", f"  # {what}", *(f"  {line}" for line in lines)]))


async def _commands_to_try(iot: IotClient, installation: Installation) -> list[tuple[str, ...]]:
    """What it shows, and its lines."""
    device, air = "office-climate", "office-air"
    issued = await iot.devices.issue_token(device)
    line = Path(sys.executable).with_name("iot-system")
    if line.is_relative_to(here := Path.cwd()):
        line = line.relative_to(here)
    query = "metric=co2&interval=1d&aggregate=avg,min,max,count"
    return [
        (
            "the room's twin",
            f"export IOT_URL={installation.url} IOT_TOKEN={installation.admin_token}",
            f"{line} rooms show {ROOM}",
        ),
        ("what happens from now on, until Ctrl-C", f"{line} watch --room {ROOM}"),
        (
            f"a reading of your own, as device {device}",
            f"mosquitto_pub -h {HOST} -p {installation.mqtt_port} -u {device} -P {issued.token} -q 1 "
            "-t v1/devices/me/telemetry -m '{\"temperature\": 21.5}'",
        ),
        (
            "CO2 by day",
            f'curl -s -H "Authorization: Bearer $IOT_TOKEN" "$IOT_URL/v1/devices/{air}/telemetry?{query}"',
        ),
    ]


async def _serve(installation: Installation) -> None:
    """Until cancelled. Raises `Unavailable` where a part ends by itself."""
    while True:
        installation.check()
        await asyncio.sleep(CHECK_S)


def _write(path: Path, figures: Figures) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2))
    except OSError as error:
        raise InvalidInput(f"--json: {path} cannot be written: {error.strerror}") from error
