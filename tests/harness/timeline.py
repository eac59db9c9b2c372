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
    """What becomes of the pods of a namespace, from `start` to `stop`, as the API server tells it."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._states: dict[str, str] = {}
        self._changes: list[Change] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._listen)

    def start(self) -> None:
        """Begin to listen."""
        path = f"/api/v1/namespaces/{self._namespace.name}/pods?watch=1"
        command = self._namespace.cluster.kubectl_command("get", "--raw", path)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._thread.start()

    def stop(self) -> list[Change]:
        """All changes since the first state of each pod that there was."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        return self._changes

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                pod = event["object"]
                state = "gone" if event["type"] == "DELETED" else state_of(pod)
                uid = pod["metadata"]["uid"]
                if self._states.get(uid) != state:
                    self._changes.append(Change(_text(datetime.now(UTC)), pod["metadata"]["name"], state))
                    self._states[uid] = state


def state_of(pod: Mapping[str, Any]) -> str:
    """In one word or two: how far it has come, and which role it has where it has one."""
    metadata, phase = pod["metadata"], str(pod["status"].get("phase", "Unknown")).lower()
    state = "ending" if "deletionTimestamp" in metadata else "ready" if is_ready(dict(pod)) else phase
    role = metadata.get("labels", {}).get(DATABASE_ROLE)
    return f"{state}, {role}" if role else state


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
