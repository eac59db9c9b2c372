"""What is broken on purpose in an installation, whatever it does, under a ledger that knows what it does."""

from __future__ import annotations

import random
import time
from typing import Protocol

from chart_harness.freezing import frozen_pods
from chart_harness.installation import Installation
from chart_harness.waiting import wait_until

NOTICED_WITHIN_S = 120.0


class Ledger(Protocol):
    """What users of the system were promised: it keeps the book from ``begin`` on, while something is broken."""

    def begin(self) -> None:
        """Return when use of the system has begun."""

    def check(self) -> None:
        """Everything is ready again: raises AssertionError that says what was promised and is not kept."""


class NoLedger:
    """Nobody uses the system; that it becomes ready again is all that is asked."""

    def begin(self) -> None:
        """Nothing to begin."""

    def check(self) -> None:
        """Nothing was promised."""


class Faults:
    """Strikes one installation, with a pod of a component chosen by ``seed`` (see `Namespace.pods`).

    Each fault returns, when everything is ready again and the ledger agrees, how many seconds that took. It raises
    AssertionError where something is not ready in time or was promised and not kept.
    """

    def __init__(self, installation: Installation, ledger: Ledger, *, seed: int = 0) -> None:
        self._installation = installation
        self._namespace = installation.namespace
        self._ledger = ledger
        self._random = random.Random(seed)

    def kill_pod(self, component: str) -> float:
        """A ready pod is deleted without a farewell."""
        pod = self._any_of(component)
        self._ledger.begin()
        began_s = time.monotonic()
        uid = self._namespace.read("pod", pod)["metadata"]["uid"]
        self._namespace.kill(pod)
        return self._over(began_s, uid)

    def freeze_pod(self, component: str) -> float:
        """A ready pod's processes stand still until Kubernetes has noticed it, and go on then.

        Raises NotFreezableError where the node is no container of this machine, as kind's are.
        """
        pod = self._any_of(component)
        self._ledger.begin()
        began_s = time.monotonic()
        with frozen_pods([self._namespace.read("pod", pod)]):
            wait_until(
                lambda: pod not in self._namespace.ready_pods(component),
                within_s=NOTICED_WITHIN_S,
                every_s=1,
                why=f"{pod} stands still, and counts as ready all the same",
            )
        return self._over(began_s)

    def _any_of(self, component: str) -> str:
        ready = sorted(self._namespace.ready_pods(component))
        assert ready, f"no pod of {component} is ready"
        return self._random.choice(ready)

    def _over(self, began_s: float, *gone: str) -> float:
        self._namespace.wait_until_ready(within_s=self._installation.ready_within_s, without=gone)
        took_s = time.monotonic() - began_s
        self._ledger.check()
        return took_s
