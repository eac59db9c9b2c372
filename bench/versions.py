"""What was measured."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from iot_system import __version__
from iot_system.commands.installation import nats_server

from bench.servers import mosquitto


def versions() -> dict[str, str]:
    """Program or library → its version; Postgres is asked by a connection."""
    libraries = {name: version(name) for name in ("ray", "nats-py", "asyncpg", "msgspec", "uvicorn", "uvloop")}
    return {
        "iot-system": __version__,
        "Python": platform.python_version(),
        "nats-server": _told_by(nats_server(), "--version"),
        "mosquitto": _told_by(mosquitto(), "-h"),
        "paho-mqtt": version("paho-mqtt"),
        "gmqtt": version("gmqtt"),
        "psycopg": version("psycopg"),
    } | libraries


def _told_by(program: Path, option: str) -> str:
    told = subprocess.run([program, option], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", told)
    return found.group() if found else "unknown"
