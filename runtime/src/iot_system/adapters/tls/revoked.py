"""Certificates that are revoked: a file of serial numbers, one a line, read again when it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from iot_system.adapters.tls.certificates import serial_of
from iot_system.adapters.tls.contexts import LOOK_EVERY_S
from iot_system.errors import InvalidSetting

SETTING = "IOT_DEVICE_CERTIFICATES_REVOKED"
BYTES_LIMIT = 4 << 20
log = structlog.get_logger()


class RevokedFile:
    """Implements `iot_system.ports.certificates.RevokedCertificates`; what follows ``#`` is a remark.

    Raises `InvalidSetting` where it cannot be read at first. Later, the last good list stays, and one line tells why.
    """

    def __init__(self, path: str, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._complained = ""
        self._text = self._read()
        self._serials = self._parse(self._text)

    def __contains__(self, serial: object) -> bool:
        now_s = self._monotonic_s()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._look()
        return serial in self._serials

    def _look(self) -> None:
        try:
            text = self._read()
            if text != self._text:
                self._serials, self._text = self._parse(text), text
                log.info("revoked certificates read again", revoked=len(self._serials))
        except InvalidSetting as error:
            if (why := str(error)) != self._complained:
                log.error("revoked certificates not read, the last good list stays", why=why)
            self._complained = why
        else:
            self._complained = ""

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                data = file.read(BYTES_LIMIT + 1)
            text = data.decode("ascii")
        except OSError as error:
            raise InvalidSetting(f"{SETTING} ({self._path}) cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidSetting(f"{SETTING} ({self._path}) is no list of serial numbers: {error}") from error
        if len(data) > BYTES_LIMIT:
            raise InvalidSetting(f"{SETTING} ({self._path}) has more than {BYTES_LIMIT} bytes, the limit")
        return text

    def _parse(self, text: str) -> frozenset[str]:
        serials = set()
        for number, line in enumerate(text.splitlines(), 1):
            if not (written := line.partition("#")[0].strip()):
                continue
            try:
                serials.add(serial_of(written))
            except ValueError:
                raise InvalidSetting(
                    f"{SETTING} ({self._path}): line {number} is {written[:80]!r}, which is no hexadecimal number"
                ) from None
        return frozenset(serials)
