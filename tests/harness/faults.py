"""Faults, and what they cost: each is struck while readings flow, and the system must get over it by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.harness.applied import twin
from tests.harness.cluster import Namespace
from tests.harness.rest import Rest
from tests.harness.traffic import BY_MQTT, BY_REST, Traffic
from tests.harness.waiting import wait_until

READY_WITHIN_S = 180.0
APPLIED_WITHIN_S = 90.0
FLOW_WITHIN_S = 90.0


class FaultRow(NamedTuple):
    """Seconds until everything was ready and had applied what was acknowledged, and one device's longest wait."""

    fault: str
    ready_s: float
    applied_s: float
    mqtt_gap_s: float
    rest_gap_s: float


class FaultTable:
    """All faults of a run."""

    def __init__(self) -> None:
        self.rows: list[FaultRow] = []
        self.readings = 0
        """Acknowledged in all."""

    def lines(self) -> list[str]:
        """As text."""
        width = max(len(row.fault) for row in self.rows)
        head = f"{'fault':{width}}  ready after  applied after  MQTT waits  REST waits"
        return [head, *(_line(row, width) for row in self.rows), f"{self.readings:,} readings acknowledged in all"]


def _line(row: FaultRow, width: int) -> str:
    return (
        f"{row.fault:{width}}  {row.ready_s:9.1f} s  {row.applied_s:11.1f} s  {row.mqtt_gap_s:8.1f} s  "
        f"{row.rest_gap_s:8.1f} s"
    )


class Faults:
    """Strikes one namespace under one traffic; ``rest`` is an administrator's."""

    def __init__(self, namespace: Namespace, rest: Rest, traffic: Traffic, table: FaultTable) -> None:
        self._namespace = namespace
        self._rest = rest
        self._traffic = traffic
        self._table = table

    def kill(self, pod: str) -> None:
        """Kill a pod, and return when the system is ready and readings of every device flow again."""
        uid = self._namespace.read("pod", pod)["metadata"]["uid"]
        self.strike(f"{pod} killed", lambda: self._namespace.kill(pod), uids=[uid])

    def roll(self, component: str) -> None:
        """Restart a Deployment pod by pod."""
        uids = [pod["metadata"]["uid"] for pod in self._namespace.pods(component)]
        self.strike(
            f"{component} rolled",
            lambda: self._namespace.kubectl("rollout", "restart", f"deployment/{component}"),
            uids=uids,
        )

    def strike(self, fault: str, act: Callable[[], object], *, uids: list[str]) -> None:
        """Do it; pods with the ``uids`` must be gone before the system counts as ready."""
        ledger = self._traffic.ledger
        ledger.watch()
        began_s = time.monotonic()
        act()
        self._namespace.wait_until_ready(within_s=READY_WITHIN_S, without=uids)
        ready_s = time.monotonic()
        acknowledged = ledger.newest()

        def is_applied() -> bool:
            self._traffic.check()
            return all(self._latest(device) >= newest for device, newest in acknowledged.items())

        wait_until(is_applied, within_s=APPLIED_WITHIN_S, every_s=0.2, why=f"{fault}: acknowledged, but not applied")
        applied_s = time.monotonic()

        def flows() -> bool:
            self._traffic.check()
            return ledger.heard_since(ready_s)

        wait_until(flows, within_s=FLOW_WITHIN_S, why=f"{fault}: not every device got an acknowledgement")
        gaps_s = ledger.gap_s(BY_MQTT), ledger.gap_s(BY_REST)
        self._table.rows.append(FaultRow(fault, ready_s - began_s, applied_s - began_s, *gaps_s))

    def _latest(self, device: str) -> float:
        """The newest timestamp that a device's twin knows, in milliseconds since 1970."""
        return max((float(one["ts"]) for one in twin(self._rest, f"devices/{device}")["latest"].values()), default=0)
