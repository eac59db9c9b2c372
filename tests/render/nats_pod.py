"""The NATS pod of a rendered installation, as its files and its command would be in a container: below a folder."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chart_harness.loopback import free_port

from tests.harness.certificates import Signed, mount
from tests.render.rendered import Installation

MOUNTED = ("/etc/iot-system", "/etc/nats", "/run/nats", "/data")
CHECKED_WITHIN_S = 30.0
SECRETS = {
    "NATS_USER": "0",
    "NATS_PASSWORD": "0123456789",
    "NATS_API_PASSWORD": "1e5",
    "NATS_ACTOR_SYSTEM_PASSWORD": "true",
}
"""What the configuration's language would take for something else than text."""


class NatsPod:
    """``port`` is where its server listens for clients, on loopback; ``shown`` is its certificate."""

    def __init__(self, folder: Path, installation: Installation, server: str, shown: Signed, ca: str) -> None:
        self._folder = folder
        self._log = folder / "nats.log"
        self.port = free_port()
        container = installation.container("nats")
        self._command = [*container.spec["command"], server, "--config", f"{folder}/etc/nats/nats.conf"]
        for mounted in (*MOUNTED, "/etc/iot-system/secrets", "/etc/iot-system/tls"):
            (folder / mounted[1:]).mkdir(parents=True, exist_ok=True)
        self.configure(installation)
        self.give(SECRETS)
        self.mount(shown, ca)

    def configure(self, installation: Installation) -> None:
        """Replace its configuration by that of another installation."""
        config = installation.container("nats").workload.volumes["config"]["configMap"]["name"]
        for name, text in installation.one("ConfigMap", config)["data"].items():
            new = self._file(f"/etc/nats/.{name}")
            new.write_text(self._below(text))
            new.replace(self._file(f"/etc/nats/{name}"))

    def give(self, secrets: Mapping[str, str]) -> None:
        """Replace these keys of its secrets."""
        for name, text in secrets.items():
            new = self._file(f"/etc/iot-system/secrets/.{name}")
            new.write_text(text)
            new.replace(self._file(f"/etc/iot-system/secrets/{name}"))

    def mount(self, shown: Signed, ca: str) -> None:
        """Replace its certificate."""
        mount(self._file("/etc/iot-system/tls"), shown, ca)

    def check(self) -> tuple[int, str]:
        """Whether the server accepts its configuration, started as the pod starts it, and what it says."""
        with self._started("-t") as process:
            code = process.wait(timeout=CHECKED_WITHIN_S)
        return code, self._log.read_text()

    @contextmanager
    def running(self) -> Iterator[None]:
        """It serves some time after this begins."""
        with self._started():
            yield

    @contextmanager
    def _started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """All of it ends at the end, as all processes of a container do with the first."""
        command = [*self._shell(), *arguments]
        with (
            self._log.open("wb") as log,
            subprocess.Popen(command, env=self._env(), stderr=log, start_new_session=True) as process,
        ):
            try:
                yield process
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    def _shell(self) -> list[str]:
        """Here the server is no container's first process, and nobody waits for 5 s."""
        shell, flag, script, *rest = self._command
        for written, instead in {"sleep 5": "sleep 0.1", "kill -HUP 1": "kill -HUP $$"}.items():
            assert written in script
            script = script.replace(written, instead)
        return [shell, flag, self._below(script), *rest]

    def _below(self, text: str) -> str:
        for mounted in MOUNTED:
            text = text.replace(mounted, f"{self._folder}{mounted}")
        # What it includes is relative already.
        text = text.replace(f'"../..{self._folder}', '"../..')
        return text.replace("0.0.0.0:4222", f"127.0.0.1:{self.port}").replace("http: 0.0.0.0:8222", "")

    def _file(self, path: str) -> Path:
        return self._folder / path[1:]

    def _env(self) -> dict[str, str]:
        return dict(os.environ, POD_NAME="nats-0")
