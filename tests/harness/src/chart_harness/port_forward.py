"""A way from loopback into a pod that outlives the pod: `kubectl port-forward`, begun again whenever it ends."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator, Sequence

from chart_harness.cluster import Namespace
from chart_harness.errors import KubernetesError
from chart_harness.loopback import free_port

RETRY_S = 0.3
START_TIMEOUT_S = 60.0


class PortForward:
    """Leads to one ready pod of a component at a time; ``pod`` says to which, the local ports stay the same.

    Those of different ``rank`` lead to different pods, where there are as many.
    """

    def __init__(
        self,
        namespace: Namespace,
        component: str,
        ports: Sequence[int],
        *,
        rank: int = 0,
        also_unready: bool = False,
        scheme: str = "http",
    ) -> None:
        self.pod = ""
        self._namespace = namespace
        self._component = component
        self._rank = rank
        self._also_unready = also_unready
        self._scheme = scheme
        self._local = {port: free_port() for port in ports}
        self._is_open = threading.Event()
        self._is_stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        """Return when it is open for the first time."""
        self._supervisor.start()
        assert self._is_open.wait(START_TIMEOUT_S), f"no way to a pod of {self._component} within {START_TIMEOUT_S:g} s"

    def stop(self) -> None:
        """Close it; idempotent."""
        self._is_stopped.set()
        if self._process is not None:
            self._process.kill()
        if self._supervisor.is_alive():
            self._supervisor.join()

    def local(self, port: int) -> int:
        """The loopback port that leads to the pod's ``port``."""
        return self._local[port]

    def url(self, port: int = 8000) -> str:
        """For HTTP, or HTTPS where that is its scheme."""
        return f"{self._scheme}://127.0.0.1:{self.local(port)}"

    def _supervise(self) -> None:
        while not self._is_stopped.is_set():
            with contextlib.suppress(KubernetesError):
                self._forward()
            self._is_stopped.wait(RETRY_S)

    def _forward(self) -> None:
        """Open it, and return when it has ended."""
        ready = self._namespace.ready_pods(self._component)
        if self._also_unready:
            ready = [pod["metadata"]["name"] for pod in self._namespace.pods(self._component)]
        if not ready:
            return
        self.pod = ready[self._rank % len(ready)]
        pairs = [f"{local}:{port}" for port, local in self._local.items()]
        command = self._namespace.cluster.kubectl_command(
            "--namespace", self._namespace.name, "port-forward", "--address=127.0.0.1", f"pod/{self.pod}", *pairs
        )
        with (
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            ) as self._process,
            self._ends_with_the_pod(self._process),
        ):
            assert self._process.stdout
            left = len(pairs)
            for line in self._process.stdout:
                left -= line.startswith("Forwarding from")
                if left == 0:
                    self._is_open.set()
                if "lost connection" in line or "error forwarding" in line or self._is_stopped.is_set():
                    self._process.kill()

    @contextlib.contextmanager
    def _ends_with_the_pod(self, forward: subprocess.Popen[str]) -> Iterator[None]:
        """Kill it when its pod is gone: kubectl does not always notice, and takes connections that lead nowhere."""
        command = self._namespace.cluster.kubectl_command(
            *("--namespace", self._namespace.name, "wait", "--for=delete", f"pod/{self.pod}", "--timeout=24h")
        )
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as watch:

            def end() -> None:
                if watch.wait() == 0:
                    forward.kill()

            watcher = threading.Thread(target=end, daemon=True)
            watcher.start()
            try:
                yield
            finally:
                watch.kill()
                watcher.join()
