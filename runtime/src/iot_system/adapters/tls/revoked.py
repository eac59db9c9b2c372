"""Certificates that are revoked: a file of serial numbers, one a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from iot_system.adapters.tls.certificates import serial_of
from iot_system.adapters.tls.contexts import NamedFile
from iot_system.adapters.watched_file import WatchedFile
from iot_system.errors import InvalidSetting

SETTING = "IOT_DEVICE_CERTIFICATES_REVOKED"
BYTES_LIMIT = 4 << 20


class RevokedFile(WatchedFile[frozenset[str]]):
    """Implements `iot_system.ports.certificates.RevokedCertificates`; what follows ``#`` is a remark."""

    what = "revoked certificates"

    def __init__(self, path: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(NamedFile(SETTING, path), monotonic_s)

    def __contains__(self, serial: object) -> bool:
        return serial in self.current

    def _read(self) -> str:
        try:
            with Path(self._file.path).open("rb") as file:
                data = file.read(BYTES_LIMIT + 1)
            text = data.decode("ascii")
        except OSError as error:
            raise InvalidSetting(f"{self._file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidSetting(f"{self._file} is no list of serial numbers: {error}") from error
        if len(data) > BYTES_LIMIT:
            raise InvalidSetting(f"{self._file} has more than {BYTES_LIMIT} bytes, the limit")
        return text

    def _make(self, text: str) -> frozenset[str]:
        serials = set()
        for number, line in enumerate(text.splitlines(), 1):
            if not (written := line.partition("#")[0].strip()):
                continue
            try:
                serials.add(serial_of(written))
            except ValueError:
                raise InvalidSetting(
                    f"{self._file}: line {number} is {written[:80]!r}, which is no hexadecimal number"
                ) from None
        return frozenset(serials)

    def _told(self, made: frozenset[str]) -> Mapping[str, object]:
        return {"revoked": len(made)}
