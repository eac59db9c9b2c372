"""How long what is acknowledged stays unseen: the twin of each device, read again and again."""

from __future__ import annotations

import ssl
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.harness.applied import MARK, twin
from tests.harness.checker import Sighting
from tests.harness.clients import Clients
from tests.harness.rest import Rest
from tests.harness.timeline import LONG_S, Wait, wait_until_now

EVERY_S = 0.25
ANSWER_S = 2.0
"""Who asks a pod that hangs asks again, and another."""


class Sight(Clients):
    """Looks at each device; `start` begins to, `stop` returns when nobody looks any more."""

    def __init__(self, url: str, token: str, devices: Sequence[str], *, trust: ssl.SSLContext | None = None) -> None:
        super().__init__(lambda: Rest(url, token, answer_s=ANSWER_S, trust=trust), dict.fromkeys(devices, self._look))
        self.seen: dict[str, list[Sighting]] = defaultdict(list)
        """By device, in turn; what stayed the same is there once."""
        self._newest: dict[str, int] = {}
        self._since_s: dict[str, float] = {}
        self._gaps_s: dict[str, float] = {}
        self.waits: list[Wait] = []
        """The long ones since `watch`."""

    def watch(self) -> None:
        """Begin to measure anew."""
        self._gaps_s, self.waits = {}, []

    def gap_s(self) -> float:
        """The longest time in which one device's newest reading stayed the same, since `watch`."""
        return max(self._gaps_s.values(), default=0.0)

    def has_seen(self, acknowledged: Mapping[str, int]) -> bool:
        """Whether each device's twin has a reading that is as new."""
        return all(self._newest.get(device, 0) >= ts for device, ts in acknowledged.items())

    def _look(self, rest: Rest, device: str) -> None:
        while not self.is_stopped_within(EVERY_S):
            self._note(device, newest_of(rest, device))

    def _note(self, device: str, newest: int) -> None:
        if newest == self._newest.get(device, 0):
            return
        now_s = time.monotonic()
        self.seen[device].append(Sighting(now_s, newest))
        gap_s = now_s - self._since_s.get(device, now_s)
        if gap_s > LONG_S:
            self.waits.append(wait_until_now(device, "sight", gap_s))
        self._gaps_s[device] = max(self._gaps_s.get(device, 0.0), gap_s)
        self._newest[device], self._since_s[device] = newest, now_s


def newest_of(rest: Rest, device: str) -> int:
    """The newest timestamp in a device's twin, in milliseconds since 1970; 0 where there is none."""
    latest = twin(rest, f"devices/{device}").get("latest", {})
    return max((int(one["ts"]) for metric, one in latest.items() if not metric.startswith(MARK)), default=0)
