"""A file that is read again as it changes: Kubernetes replaces what is mounted under a running pod."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

import structlog

from iot_system.adapters.tls.contexts import LOOK_EVERY_S, NamedFile
from iot_system.errors import InvalidSetting

T = TypeVar("T")
log = structlog.get_logger()


class WatchedFile(Generic[T]):
    """What is made of the text of ``file``, looked at `LOOK_EVERY_S` seconds apart at most.

    Raises `InvalidSetting` where nothing can be made of it at first. Later the last good one stays, and one line tells
    why.
    """

    what: ClassVar[str]
    """For the log."""

    def __init__(self, file: NamedFile, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._complained = ""
        self._text = self._read()
        self._made = self._make(self._text)

    @property
    def current(self) -> T:
        """As the file is now."""
        now_s = self._monotonic_s()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._look()
        return self._made

    def _look(self) -> None:
        try:
            text = self._read()
            if text != self._text:
                self._made, self._text = self._make(text), text
                log.info(f"{self.what} read again", **self._told(self._made))
        except InvalidSetting as error:
            if (why := str(error)) != self._complained:
                log.error(f"{self.what} not read, what was good last stays", why=why)
            self._complained = why
        else:
            self._complained = ""

    def _read(self) -> str:
        """Raises `InvalidSetting`."""
        raise NotImplementedError

    def _make(self, text: str) -> T:
        """Raises `InvalidSetting`."""
        raise NotImplementedError

    def _told(self, made: T) -> Mapping[str, object]:
        """What the log says of a new one."""
        raise NotImplementedError
