"""What stands in a URL: the server, for messages, which never show the rest; and the user with his password."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from iot_system.errors import InvalidSetting

_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
DEFAULT_PORT = 5432
DATABASE_URL = "DATABASE_URL"


def server_of(url: str, setting: str = DATABASE_URL) -> str:
    """Return ``host:port`` (several, separated by commas) of a ``postgresql://`` URL, which ``setting`` gave.

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
            f"{setting} is not postgresql://USER:PASSWORD@HOST:PORT/NAME; special characters in the password are "
            "written with % (a slash is %2F)"
        )
    return ",".join(host if re.search(r":[0-9]+$", host) else f"{host}:{DEFAULT_PORT}" for host in hosts.split(","))


def user_of(url: str, setting: str) -> tuple[str, str]:
    """Return name and password of the user of a ``postgresql://`` URL. Raises `InvalidSetting` where one is missing."""
    server_of(url, setting)
    parts = urlsplit(url)
    if not (parts.username and parts.password):
        raise InvalidSetting(f"{setting} has no user or no password: it is postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return unquote(parts.username), unquote(parts.password)
