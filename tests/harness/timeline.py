"""When what happened: waits that are long enough to be looked into, and what became of pods meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from chart_harness.cluster import Namespace, is_ready

from tests.harness.installation import DATABASE_ROLE

LONG_S = 0.5
"""What is shorter, nobody asks about."""
BEAT_S = 0.05
AGAIN_S = 1.0
"""After a watch that has ended."""


class Wait(msgspec.Struct, frozen=True):
    """``device`` waited for ``what`` from ``began`` (UTC) on, for so many seconds."""

    began: str
    seconds: float
    device: str
    what: str


class Change(msgspec.Struct, frozen=True):
    """``pod`` became ``state`` at ``moment`` (UTC)."""

    moment: str
    pod: str
    state: str


def wait_until_now(device: str, what: str, seconds: float) -> Wait:
    """One that is over now."""
    return Wait(_text(datetime.now(UTC) - timedelta(seconds=seconds)), round(seconds, 2), device, what)


class Pulse:
    """When the tests themselves got no processor: what they measure then is not what a client elsewhere would see."""

    def __init__(self) -> None:
        self._is_stopped = threading.Event()
        self._waits: list[Wait] = []
        self._thread = threading.Thread(target=self._beat)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> list[Wait]:
        """The long ones."""
        self._is_stopped.set()
        self._thread.join()
        return self._waits

    def _beat(self) -> None:
        last_s = time.monotonic()
        while not self._is_stopped.wait(BEAT_S):
            now_s = time.monotonic()
            if now_s - last_s > LONG_S:
                self._waits.append(wait_until_now("the tests", "processor", now_s - last_s))
            last_s = now_s


class Pods:
    """What becomes of the pods of a namespace, from `start` to `stop`, as the API server tells it.

    A watch that it ends is followed by a new one, and stands among the changes: a pod may have come and gone unseen.
    """

    def __init__(self, namespace: Namespace) -> None:
        path = f"/api/v1/namespaces/{namespace.name}/pods?watch=1"
        self._command = namespace.cluster.kubectl_command("get", "--raw", path)
        self._states: dict[str, str] = {}
        self._changes: list[Change] = []
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._listen)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> list[Change]:
        """All changes since the first state of each pod that there was."""
        self._is_stopped.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        self._thread.join()
        return self._changes

    def _listen(self) -> None:
        while True:
            with self._lock:  # none begins behind the back of `stop`
                if self._is_stopped.is_set():
                    return
                self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
            with self._process as process:
                assert process.stdout is not None
                all(map(self._take, process.stdout))
                process.terminate()
            if not self._is_stopped.is_set():
                self._changes.append(Change(_text(datetime.now(UTC)), "(all)", "not looked at: the watch has ended"))
            self._is_stopped.wait(AGAIN_S)

    def _take(self, line: bytes) -> bool:
        """Whether the watch goes on behind this line."""
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # cut by its end
            return False
        if event["type"] == "ERROR":
            return False
        pod = event["object"]
        uid, state = pod["metadata"]["uid"], "gone" if event["type"] == "DELETED" else state_of(pod)
        if self._states.get(uid) != state:
            self._changes.append(Change(_text(datetime.now(UTC)), pod["metadata"]["name"], state))
            self._states[uid] = state
        return True


def state_of(pod: Mapping[str, Any]) -> str:
    """In one word or two: how far it has come, and which role it has where it has one."""
    metadata, phase = pod["metadata"], str(pod["status"].get("phase", "Unknown")).lower()
    state = "ending" if "deletionTimestamp" in metadata else "ready" if is_ready(dict(pod)) else phase
    role = metadata.get("labels", {}).get(DATABASE_ROLE)
    return f"{state}, {role}" if role else state


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
