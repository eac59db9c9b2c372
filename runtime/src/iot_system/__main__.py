"""The one command: ``iot-system SUBCOMMAND``."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from iot_system import __version__
from iot_system.commands.parser import Parser
from iot_system.errors import InvalidSetting

if TYPE_CHECKING:
    from iot_system.adapters.http.server import ASGIApp, HttpTls, WebSocketFactory
    from iot_system.services.runner import Service
    from iot_system.settings import ActorSystemSettings, ProcessSettings, RayHeadSettings

_IN_MEMORY = "/dev/shm"  # noqa: S108 - a private folder is made in it
"""Where keys of a moment lie."""

HEAD_AWAY_S = "86400"
"""A node that is repaired within a day brings the head back with its volume; everything else goes on meanwhile."""


def _api(arguments: Sequence[str]) -> int:
    """Serve devices and clients: REST and MQTT."""
    _no_more(arguments)
    from iot_system.logs import set_up_logs
    from iot_system.services.api import Api
    from iot_system.settings import ApiSettings, read_settings

    settings = read_settings(ApiSettings)
    set_up_logs(settings.process.log_level, service="api")
    api = Api(settings)
    host, port = settings.listen.host, settings.listen.http_port
    return _run(api, api.app, host, port, settings.process, api.websockets, api.http_tls)


def _actor_system(arguments: Sequence[str]) -> int:
    """Host device and room actors on a Ray node."""
    _no_more(arguments)
    # The shards' processes count for this one, which answers /metrics for all of them.
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="iot-metrics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    from iot_system.settings import ActorSystemSettings, read_settings

    settings = read_settings(ActorSystemSettings)
    _prepare_ray(settings)
    from iot_system.adapters.http.monitoring import create_monitoring_app
    from iot_system.logs import set_up_logs
    from iot_system.services.actor_system import ActorSystem

    set_up_logs(settings.process.log_level, service="actor-system")
    system = ActorSystem(settings)
    return _run(system, create_monitoring_app(system), settings.listen_host, settings.port, settings.process)


def _ray_head(arguments: Sequence[str]) -> int:
    """Keep the state of the Ray cluster."""
    _no_more(arguments)
    from iot_system.settings import RayHeadSettings, read_settings

    settings = read_settings(RayHeadSettings)
    _prepare_ray(settings)
    from iot_system.adapters.http.monitoring import create_monitoring_app
    from iot_system.logs import set_up_logs
    from iot_system.services.ray_head import RayHead

    set_up_logs(settings.process.log_level, service="ray-head")
    head = RayHead(settings)
    return _run(head, create_monitoring_app(head), settings.listen_host, settings.http_port, settings.process)


def _migrate(arguments: Sequence[str]) -> int:
    """Bring the database's schema up to date; waits for the database."""
    _no_more(arguments)
    from iot_system.adapters.stores import is_in_memory, migrate_store
    from iot_system.logs import set_up_logs
    from iot_system.services.waiting import wait_for
    from iot_system.settings import MigrateSettings, read_settings

    settings = read_settings(MigrateSettings)
    set_up_logs(settings.process.log_level, service="migrate")
    url, tls, roles = settings.database_url, settings.database_tls, settings.roles
    if is_in_memory(url):
        sys.stdout.write("nothing to migrate: DATABASE_URL is sqlite:///:memory:, which begins empty in each process\n")
        return 0
    # The log says what is missing; nobody else asks.
    asyncio.run(wait_for(lambda: migrate_store(url, tls, roles), missing=lambda _: None))
    return 0


def _streams(arguments: Sequence[str]) -> int:
    """Make the broker's streams, or bring their limits up to date; waits for the broker."""
    _no_more(arguments)
    from iot_system.logs import set_up_logs
    from iot_system.services.streams import make_streams
    from iot_system.settings import MakeStreamsSettings, read_settings

    settings = read_settings(MakeStreamsSettings)
    set_up_logs(settings.process.log_level, service="streams")
    asyncio.run(make_streams(settings.broker, settings.stream))
    return 0


def _command(module: str, summary: str) -> Callable[[Sequence[str]], int]:
    """A command of its own module, which is imported when it runs: services need none of what these do."""

    def run(arguments: Sequence[str]) -> int:
        try:
            main: Callable[[list[str]], int] = import_module(f"iot_system.commands.{module}").main
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("iot_system"):
                raise
            raise InvalidSetting(
                f"{error.name} is not installed; `pip install './runtime[client]'` in a checkout brings it"
            ) from None
        return main(list(arguments))

    run.__doc__ = summary
    return run


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "api": _api,
    "actor-system": _actor_system,
    "ray-head": _ray_head,
    "migrate": _migrate,
    "streams": _streams,
    "demo": _command("demo", "Run the whole system here, on real readings."),
    "devices": _command("devices", "List, show, create, import and delete devices, and make their tokens."),
    "rooms": _command("rooms", "List, show, set and delete rooms; desired state and commands for all devices of one."),
    "send": _command("send", "Store values of a device."),
    "twin": _command("twin", "Show what a device says of itself; change what is wanted of it."),
    "commands": _command("device_commands", "Give a device a command, wait for its answer, list, cancel."),
    "watch": _command("watch", "Print what happens as it happens."),
    "export": _command("exporting", "Write history as CSV, NDJSON or Parquet."),
    "import": _command("importing", "Store telemetry from CSV, NDJSON or Parquet."),
    "tokens": _command("tokens", "Make, list and delete tokens of people and programs."),
    "replay": _command("replay", "Send the readings of a CSV file in the sample's form."),
    "check": _command("check", "Send a reading through an installation and read it back."),
    "secrets": _command("secrets", "Make the Kubernetes secrets that are missing, and renew certificates."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code; 2 for a setting that nothing can start with."""
    listing = "\n".join(f"  {name:<14}{function.__doc__}" for name, function in COMMANDS.items())
    parser = Parser(
        prog="iot-system",
        usage="iot-system [--version] SUBCOMMAND ...",
        epilog=f"subcommands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"iot-system {__version__}")
    parser.add_argument("subcommand", choices=COMMANDS, metavar="SUBCOMMAND", help="what to run; see below")
    arguments = sys.argv[1:] if arguments is None else arguments
    # What follows the subcommand is its own, --help included.
    parsed = parser.parse_args(arguments[:1])
    try:
        return COMMANDS[parsed.subcommand](arguments[1:])
    except InvalidSetting as error:
        sys.stderr.write(f"iot-system {parsed.subcommand}: {error}\n")
        return 2


def _prepare_ray(settings: ActorSystemSettings | RayHeadSettings) -> None:
    """Say what Ray reads once, when it is imported, here and in the children of this process.

    Nobody joins or commands the Ray cluster without a token, nor listens; where this process is the whole cluster, only
    it and its children know the token. (Ray would keep one at home.) And a head that is away is waited for, longer than
    it takes to come back even on another node: by default Ray ends the process after a minute, this one and those of
    the node.
    """
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", HEAD_AWAY_S)
    from iot_system.adapters.ray.encryption import encrypted

    tls = settings.ray_tls
    if tls.ca is not None and tls.ca_key is not None:
        folder = Path(tempfile.mkdtemp(prefix="iot-ray-", dir=_IN_MEMORY))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        # The head's name in all: nodes are no less trusted than it is.
        head = (settings.ray_address or "").rpartition(":")[0]
        os.environ |= encrypted(Path(tls.ca), Path(tls.ca_key), [settings.address, *filter(None, [head])], folder)
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not os.environ.keys() & {"IOT_RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _no_more(arguments: Sequence[str]) -> None:
    if arguments:
        raise InvalidSetting(f"takes no arguments, but got {' '.join(arguments)}; settings come from the environment")


def _run(
    service: Service,
    app: ASGIApp,
    host: str,
    port: int,
    process: ProcessSettings,
    websockets: Mapping[str, WebSocketFactory] | None = None,
    tls: HttpTls | None = None,
) -> int:
    import uvloop

    from iot_system.services.runner import run

    timeout_s = process.requests_timeout_s
    websockets = websockets or {}
    serving = run(service, app, host=host, port=port, requests_timeout_s=timeout_s, websockets=websockets, tls=tls)
    return uvloop.run(serving)


if __name__ == "__main__":
    sys.exit(main())
