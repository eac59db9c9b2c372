"""Sockets that servers listen on."""

from __future__ import annotations

import socket

from iot_system.errors import InvalidSetting

BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Port 0 takes a free one. Raises `InvalidSetting` where the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidSetting(f"cannot listen on {host}:{port}: {error.strerror}") from error
