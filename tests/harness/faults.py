"""Faults, and what they cost: each is struck while readings flow, and the system must get over it by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.harness.cluster import Namespace
from tests.harness.traffic import BY_MQTT, BY_REST, Traffic
from tests.harness.waiting import wait_until

READY_WITHIN_S = 180.0
FLOW_WITHIN_S = 90.0


class FaultRow(NamedTuple):
    """Seconds until everything was ready again, and the longest wait of one device for an acknowledgement."""

    fault: str
    ready_s: float
    mqtt_gap_s: float
    rest_gap_s: float


class FaultTable:
    """All faults of a run."""

    def __init__(self) -> None:
        self.rows: list[FaultRow] = []

    def lines(self) -> list[str]:
        """As text."""
        width = max(len(row.fault) for row in self.rows)
        head = f"{'fault':{width}}  ready after      MQTT      REST"
        return [
            head,
            *(
                f"{row.fault:{width}}  {row.ready_s:9.1f} s  {row.mqtt_gap_s:6.1f} s  {row.rest_gap_s:6.1f} s"
                for row in self.rows
            ),
        ]


class Faults:
    """Strikes one namespace under one traffic."""

    def __init__(self, namespace: Namespace, traffic: Traffic, table: FaultTable) -> None:
        self._namespace = namespace
        self._traffic = traffic
        self._table = table

    def kill(self, pod: str) -> None:
        """Delete a pod by force, and return when the system is ready and readings of every device flow again."""
        uid = self._namespace.read("pod", pod)["metadata"]["uid"]
        self.strike(
            f"{pod} killed",
            lambda: self._namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false"),
            uids=[uid],
        )

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

        def flows() -> bool:
            self._traffic.check()
            return ledger.heard_since(ready_s)

        wait_until(flows, within_s=FLOW_WITHIN_S, why=f"{fault}: not every device got an acknowledgement")
        row = FaultRow(fault, ready_s - began_s, ledger.gap_s(BY_MQTT), ledger.gap_s(BY_REST))
        self._table.rows.append(row)
