"""What people do to an installation that runs: upgrades, the way back, other numbers of pods, other secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from chart_harness.waiting import wait_until

from tests.harness.faults.scene import Scene
from tests.harness.renewal import Renewal

BEGUN_WITHIN_S = 60.0
LABEL = "example.org/upgrade"
IN_TURN = (
    *("statefulset/postgres", "statefulset/nats", "statefulset/ray-head"),
    *("deployment/actor-system", "deployment/api"),
)
ROLLED_S = 240.0
SECRETS = (
    *((f"nats-{service}-credentials", "password") for service in ("api", "actor-system")),
    *((f"{component}-tls", "tls.crt") for component in ("api", "actor-system", "nats", "postgres")),
)
"""What everybody reads again as it changes."""


@contextmanager
def upgraded(scene: Scene) -> Iterator[Collection[str]]:
    """Every pod anew, in the order and at the pace of its workload."""
    uids = _uids(scene)
    scene.note("helm upgrade")
    scene.installation.upgrade(_another_label(scene))
    yield uids


@contextmanager
def rolled_in_turn(scene: Scene) -> Iterator[Collection[str]]:
    """Every pod anew as well, but one workload after the other: who waits here does not wait for a processor alone."""
    uids = _uids(scene)
    for workload in IN_TURN:
        scene.note(f"kubectl rollout restart {workload}")
        scene.namespace.kubectl("rollout", "restart", workload)
        scene.namespace.kubectl("rollout", "status", workload, f"--timeout={ROLLED_S:.0f}s", timeout_s=2 * ROLLED_S)
    yield uids


@contextmanager
def rolled_back(scene: Scene) -> Iterator[Collection[str]]:
    """Every pod anew, as it was before an upgrade that has just ended."""
    scene.note("helm upgrade")
    scene.installation.upgrade(_another_label(scene))
    uids = _uids(scene)
    scene.note("helm rollback")
    scene.installation.roll_back()
    yield uids


@contextmanager
def interrupted(scene: Scene) -> Iterator[Collection[str]]:
    """Helm is killed when a workload has its first new pod; `helm rollback` is the way out of what that leaves."""
    label = _another_label(scene)
    marked = f"{LABEL}={label['global.commonLabels'][LABEL]}"
    of_jobs = "batch.kubernetes.io/job-name"  # whose first pod comes before Helm changes anything
    with scene.installation.begun_upgrade(label):
        wait_until(lambda: scene.namespace.pods(f"{marked},!{of_jobs}"), within_s=BEGUN_WITHIN_S, why="no new pod")
    scene.note("helm is killed; helm rollback")
    scene.installation.roll_back()
    yield ()


@contextmanager
def scaled(scene: Scene) -> Iterator[Collection[str]]:
    """One API pod and one actor-system pod more, and back again."""
    more: dict[str, int] = {}
    for component in ("api", "actor-system"):
        number = len(scene.namespace.pods(component)) + 1
        more |= {f"{component}.replicas": number, f"{component}.autoscaling.maxReplicas": number}
    scene.note(f"helm upgrade: {more}")
    scene.installation.upgrade(more)
    scene.note("helm rollback")
    scene.installation.roll_back()
    yield ()


@contextmanager
def rotated(scene: Scene) -> Iterator[Collection[str]]:
    """Passwords of NATS and certificates of all servers are made anew; what is open with the old ones is ended."""
    renewal = Renewal(scene.namespace)
    renewal.ask(SECRETS)
    renewal.run_job()
    scene.note("new passwords and certificates are there")
    renewal.bring()
    yield ()


def _uids(scene: Scene) -> list[str]:
    return [pod["metadata"]["uid"] for pod in scene.namespace.running_pods()]


def _another_label(scene: Scene) -> dict[str, dict[str, str]]:
    return {"global.commonLabels": {LABEL: f"{scene.random.getrandbits(32):08x}"}}
