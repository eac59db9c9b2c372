"""Which server a URL means: for messages, which never show the rest of the URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from iot_system.errors import InvalidSetting

_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
DEFAULT_PORT = 5432


def server_of(url: str) -> str:
    """Return ``host:port`` (several, separated by commas) of a ``postgresql://`` URL.

    Raises `InvalidSetting` where there is none, e.g. because a password has a slash that is not written ``%2F``.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        hosts = ""  # the error's text would bear the password
    else:
        hosts = "" if "@" in parts.path else parts.netloc.rpartition("@")[2]
    if not _HOSTS.fullmatch(hosts):
        raise InvalidSetting(
            "DATABASE_URL is not postgresql://USER:PASSWORD@HOST:PORT/NAME; special characters in the password are "
            "written with % (a slash is %2F)"
        )
    return ",".join(host if re.search(r":[0-9]+$", host) else f"{host}:{DEFAULT_PORT}" for host in hosts.split(","))
