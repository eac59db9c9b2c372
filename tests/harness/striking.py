"""Strikes an installation under load, and measures what each fault costs those who send and those who look."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from chart_harness.errors import KubernetesError
from chart_harness.waiting import wait_until

from tests.harness.errors import NoSuchPartError
from tests.harness.faults.scene import Fault, Scene
from tests.harness.figures import Moment, Row
from tests.harness.installation import Installation
from tests.harness.patroni import wait_until_whole
from tests.harness.sight import Sight
from tests.harness.timeline import Change, Pods, Pulse
from tests.harness.traffic import Traffic

OVER_WITHIN_S = 240.0
READY_WITHIN_S = 300.0
WHOLE_WITHIN_S = 120.0
COMPONENT = "actor-system"


class Striking:
    """Faults of one round under one traffic, which some eyes follow."""

    def __init__(self, installation: Installation, traffic: Traffic, sight: Sight, *, seed: str) -> None:
        self._installation = installation
        self._traffic = traffic
        self._sight = sight
        self._seed = seed

    def strike(self, fault: Fault, number: int) -> Row:
        """Return once all pods are ready, and readings of every device are acknowledged and seen again.

        It begins when the database is whole. Raises NoSuchPartError where nothing was struck.
        """
        namespace, ledger = self._installation.namespace, self._traffic.ledger
        wait_until_whole(namespace, WHOLE_WITHIN_S, f"{fault.name}: the database is not whole before")
        began, began_s = datetime.now(UTC), time.monotonic()
        moments: list[Moment] = []

        def note(what: str) -> None:
            moments.append(Moment(round(time.monotonic() - began_s, 1), what))

        def timed(failed: Exception) -> Exception:
            failed.add_note(time_line(f"{fault.name} since {began.isoformat()}", moments, pods.stop()))
            return failed

        ledger.watch()
        self._sight.watch()
        pods, pulse = Pods(namespace), Pulse()
        pods.start()
        pulse.start()
        try:
            ready_s = self._strike(fault, began_s, note)
        except NoSuchPartError as late:
            if not moments:
                raise  # nothing was done yet
            raise timed(AssertionError(f"{fault.name} has struck, and then: {late}")) from late
        except Exception as failed:
            timed(failed)
            raise
        finally:
            changes, own = pods.stop(), pulse.stop()
        waits = sorted([*ledger.waits, *self._sight.waits, *own], key=lambda wait: wait.began)
        return Row(
            fault=fault.name,
            round=number,
            mqtt_s=ledger.gap_s(self._traffic.by_mqtt),
            rest_s=ledger.gap_s(self._traffic.by_rest),
            visible_s=self._sight.gap_s(),
            ready_s=ready_s,
            refused=sum(1 for line in self._log(began) if line.get("event") == "fenced"),
            load=os.getloadavg()[0],
            began_s=began.timestamp(),
            moments=tuple(moments),
            waits=tuple(waits),
            pods=tuple(changes),
        )

    def _strike(self, fault: Fault, began_s: float, note: Callable[[str], None]) -> float:
        """Returns the seconds until everything was ready."""
        namespace = self._installation.namespace
        with fault.strike(Scene(self._installation, random.Random(f"{self._seed} {fault.name}"), note)) as gone:
            self._hold(fault)
            self._wait_until_over(fault)
            note("every device is acknowledged and seen")
        namespace.wait_until_ready(within_s=READY_WITHIN_S, without=gone)
        ready_s = time.monotonic() - began_s
        note("all pods are ready")
        self._wait_until_over(fault)
        note("every device is acknowledged and seen")
        return ready_s

    def _hold(self, fault: Fault) -> None:
        until_s = time.monotonic() + fault.lasts_s

        def is_time() -> bool:
            self._traffic.check()
            self._sight.check()
            return time.monotonic() >= until_s

        wait_until(is_time, within_s=fault.lasts_s + OVER_WITHIN_S)

    def _wait_until_over(self, fault: Fault) -> None:
        """Each device has had an acknowledgement since now, and its twin shows at least that."""
        self._traffic.wait_until_heard(OVER_WITHIN_S)
        acknowledged = self._traffic.ledger.newest()

        def is_seen() -> bool:
            self._sight.check()
            return self._sight.has_seen(acknowledged)

        wait_until(is_seen, within_s=OVER_WITHIN_S, why=f"{fault.name}: acknowledged, but not to be seen")

    def _log(self, since: datetime) -> Iterator[dict[str, object]]:
        """What shards have said, those that have ended in their pods too."""
        namespace = self._installation.namespace
        for pod in namespace.pods(COMPONENT):
            name = pod["metadata"]["name"]
            restarts = max((one["restartCount"] for one in pod["status"].get("containerStatuses", ())), default=0)
            for which in ((), ("--previous",)) if restarts else ((),):
                try:
                    text = namespace.kubectl("logs", name, f"--since-time={since.isoformat()}", *which)
                except KubernetesError:
                    continue  # it has nothing to say any more
                yield from events(text)


def time_line(what: str, moments: Iterable[Moment], changes: Iterable[Change]) -> str:
    """What was done and what became of pods, a line each, for a fault that has no row."""
    done = (f"  +{one.after_s:.1f} s {one.what}" for one in moments)
    became = (f"  {one.moment} {one.pod}: {one.state}" for one in changes)
    return "\n".join([what, *done, *became])


def events(log: str) -> Iterator[dict[str, object]]:
    """What a program has logged as JSON, a line each; a line that is none, or that its end has cut, is left out."""
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            yield event
