"""A password or token in a file, read again as it changes: Kubernetes replaces mounted secrets under a running pod."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from iot_system.adapters.tls.contexts import LOOK_EVERY_S, NamedFile
from iot_system.errors import InvalidSetting

log = structlog.get_logger()


class SecretFile:
    """Called, it is the text of the file, looked at `LOOK_EVERY_S` apart at most; line ends around it do not count.

    Raises `InvalidSetting` where it cannot be read at first, or says nothing. Later the last good text stays, and one
    line tells why.
    """

    def __init__(self, file: NamedFile, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._complained = ""
        self._text = self._read()

    def __call__(self) -> str:
        now_s = self._monotonic_s()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._look()
        return self._text

    def _look(self) -> None:
        try:
            text = self._read()
        except InvalidSetting as error:
            if (why := str(error)) != self._complained:
                log.error("secret not read, the last good one stays", why=why)
            self._complained = why
            return
        self._complained = ""
        if text != self._text:
            self._text = text
            log.info("secret read again", file=str(self._file))

    def _read(self) -> str:
        try:
            text = Path(self._file.path).read_text(encoding="utf-8").strip("\r\n")
        except OSError as error:
            raise InvalidSetting(f"{self._file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:  # without its text: that is the secret
            raise InvalidSetting(f"{self._file} is no text in UTF-8") from error
        if not text:
            raise InvalidSetting(f"{self._file} is empty")
        return text


def secret(text: str | None, setting: str, path: str | None) -> str | SecretFile | None:
    """What is given: the text itself, or the file at ``path`` that ``setting`` names; None where neither is."""
    return text if path is None else SecretFile(NamedFile(setting, path))
