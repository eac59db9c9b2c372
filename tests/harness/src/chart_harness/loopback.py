"""Ports on this machine."""

from __future__ import annotations

import contextlib
import secrets
import socket

PORTS = range(20_000, 32_768)
"""Below those that Linux gives to outgoing connections, of which one could take a port before its server does, or while
that is killed; above those of Ray's workers."""


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    while True:
        port = secrets.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
