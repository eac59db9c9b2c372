"""A password or token in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from iot_system.adapters.tls.contexts import NamedFile
from iot_system.adapters.watched_file import WatchedFile
from iot_system.errors import InvalidSetting


class SecretFile(WatchedFile[str]):
    """Called, it is the text of the file; line ends around it do not count, and nothing is none."""

    what = "secret"

    def __call__(self) -> str:
        return self.current

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

    def _make(self, text: str) -> str:
        return text

    def _told(self, made: str) -> Mapping[str, object]:
        return {"file": str(self._file)}


def secret(text: str | None, setting: str, path: str | None) -> str | SecretFile | None:
    """What is given: the text itself, or the file at ``path`` that ``setting`` names; None where neither is."""
    return text if path is None else SecretFile(NamedFile(setting, path))
