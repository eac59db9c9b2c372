"""What must hold of several variables together, or of an address: else one sentence that names them."""

from __future__ import annotations

import re

from iot_system.errors import InvalidSetting

_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


def is_address(text: str) -> bool:
    """Whether it is HOST:PORT."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and 0 < int(match[1]) <= 65535


def check_pair(prefix: str, certificate: str | None, key: str | None) -> None:
    """Raises `InvalidSetting` for a certificate without its key, and the other way round."""
    if (certificate is None) != (key is None):
        raise InvalidSetting(f"{prefix}_CERTIFICATE and {prefix}_KEY belong together: set both, or none")


def check_secret(name: str, text: str | None, path: str | None) -> None:
    """Raises `InvalidSetting` for a secret that is given both as text and as a file."""
    if text is not None and path is not None:
        raise InvalidSetting(f"{name} and {name}_FILE are both set: give one of them")
