from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from chart_harness.installation import Installation
from chart_harness.waiting import wait_until


class Notes:
    """Writes one note after the other while something is broken, and reads those again that were acknowledged."""

    def __init__(self, installation: Installation) -> None:
        self._way = installation.forward("notes", 8080)
        self._token = installation.namespace.secret(installation.release, "token")
        self._acknowledged: list[str] = []
        self._is_over = threading.Event()
        self._writer = threading.Thread(target=self._write, daemon=True)

    def begin(self) -> None:
        self._writer.start()
        self._wait_for_another("nothing is acknowledged at all")

    def check(self) -> None:
        self._wait_for_another("nothing is acknowledged any more")
        self.stop()
        lost = [name for name in self._acknowledged if not self._is_kept(name)]
        assert not lost, f"acknowledged and lost: {lost}"

    def stop(self) -> None:
        self._is_over.set()
        if self._writer.is_alive():
            self._writer.join()

    def _is_kept(self, name: str) -> bool:
        try:
            return self._ask("GET", name) == name.encode()
        except urllib.error.HTTPError as answer:
            if answer.code != 404:
                raise
            return False

    def _write(self) -> None:
        number = 0
        while not self._is_over.wait(0.05):
            number += 1
            try:
                self._ask("PUT", f"note-{number}", f"note-{number}".encode())
            except OSError:
                continue  # not acknowledged, so not promised
            self._acknowledged.append(f"note-{number}")

    def _ask(self, method: str, name: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._way.url(8080)}/notes/{name}"
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            read: bytes = answer.read()
            return read

    def _wait_for_another(self, why: str) -> None:
        known = len(self._acknowledged)
        wait_until(lambda: len(self._acknowledged) > known, within_s=60, why=why)


@pytest.fixture
def ledger(installation: Installation) -> Iterator[Notes]:
    notes = Notes(installation)
    yield notes
    notes.stop()
