"""The faults: what is broken on purpose, how, and what that may cost. Nothing else lists them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from tests.harness.cluster import DATABASE_ROLE, Namespace
from tests.harness.installation import Installation
from tests.harness.jetstream import stream_leader
from tests.harness.nodes import NotFreezableError, freezable, frozen

PATRONI = "/etc/postgresql/patroni.yml"
POSTMASTER = "/var/lib/postgresql/data/pgdata/postmaster.pid"
IN_TURN = (
    *("statefulset/postgres", "statefulset/nats", "statefulset/ray-head"),
    *("deployment/actor-system", "deployment/api"),
)
ROLLED_S = 240.0
PRIMARY = f"{DATABASE_ROLE}=primary"


class Scene(NamedTuple):
    """Where a fault strikes; what is random about it comes from ``random``."""

    installation: Installation
    random: random.Random

    @property
    def namespace(self) -> Namespace:
        return self.installation.namespace


Strike = Callable[[Scene], AbstractContextManager[Collection[str]]]
"""Begins a fault, and ends one that lasts; within it are the uids of the pods that it takes away."""


class Fault(NamedTuple):
    """``limits``: measure (`tests.harness.figures.MEASURES`) → the most seconds that its 95th percentile may be."""

    name: str
    limits: Mapping[str, float]
    strike: Strike


class NoSuchPartError(Exception):
    """What a fault would break is not there."""


def _all(limit_s: float) -> dict[str, float]:
    return dict.fromkeys(("mqtt_s", "rest_s", "visible_s"), limit_s)


@contextmanager
def _switch_over(scene: Scene) -> Iterator[Collection[str]]:
    _at_primary(scene, "patronictl", "--config-file", PATRONI, "switchover", "--force")
    yield ()


@contextmanager
def _kill_postgres(scene: Scene) -> Iterator[Collection[str]]:
    """The processes, as out of memory they would be; Patroni lives, and decides."""
    _at_primary(scene, "sh", "-c", f"read -r process < {POSTMASTER} && kill -9 $process")
    yield ()


@contextmanager
def _kill_primary(scene: Scene) -> Iterator[Collection[str]]:
    yield _kill(scene, _primary(scene))


@contextmanager
def _kill_stream_leader(scene: Scene) -> Iterator[Collection[str]]:
    yield _kill(scene, stream_leader(scene.namespace))


@contextmanager
def _kill_api(scene: Scene) -> Iterator[Collection[str]]:
    yield _kill(scene, _any_of(scene, "api"))


@contextmanager
def _kill_actor_system(scene: Scene) -> Iterator[Collection[str]]:
    yield _kill(scene, _any_of(scene, "actor-system"))


@contextmanager
def _kill_ray_head(scene: Scene) -> Iterator[Collection[str]]:
    yield _kill(scene, _any_of(scene, "ray-head"))


@contextmanager
def _lose_node(scene: Scene) -> Iterator[Collection[str]]:
    try:
        nodes = freezable(scene.namespace.cluster)
    except NotFreezableError as lacking:
        raise NoSuchPartError(str(lacking)) from lacking
    if len(nodes) < 2:
        raise NoSuchPartError("the cluster has not two nodes beside its control plane")
    with frozen(scene.namespace.cluster, scene.random.choice(nodes)):
        yield ()


@contextmanager
def _upgrade(scene: Scene) -> Iterator[Collection[str]]:
    """Every pod anew, in the order and at the pace of its workload."""
    uids = _uids(scene)
    label = f"{scene.random.getrandbits(32):08x}"
    scene.installation.upgrade({"global.commonLabels": {"example.org/upgrade": label}})
    yield uids


@contextmanager
def _roll_in_turn(scene: Scene) -> Iterator[Collection[str]]:
    """Every pod anew as well, but one workload after the other: who waits here does not wait for a processor alone."""
    uids = _uids(scene)
    for workload in IN_TURN:
        scene.namespace.kubectl("rollout", "restart", workload)
        scene.namespace.kubectl("rollout", "status", workload, f"--timeout={ROLLED_S:.0f}s", timeout_s=2 * ROLLED_S)
    yield uids


FAULTS = (
    Fault("postgres-switchover", {"visible_s": 10}, _switch_over),
    Fault("postgres-crash", {"visible_s": 35}, _kill_postgres),
    Fault("postgres-primary", {"visible_s": 35}, _kill_primary),
    Fault("nats-leader", _all(5), _kill_stream_leader),
    Fault("api-pod", _all(2), _kill_api),
    Fault("actor-system-pod", {"visible_s": 10}, _kill_actor_system),
    Fault("ray-head", {"visible_s": 2, "ready_s": 60}, _kill_ray_head),
    Fault("node", _all(60), _lose_node),
    Fault("rolled-in-turn", {"mqtt_s": 1, "rest_s": 1}, _roll_in_turn),
    Fault("upgrade", {"mqtt_s": 1, "rest_s": 1}, _upgrade),
)


def _uids(scene: Scene) -> Collection[str]:
    """Of all pods that run."""
    return [pod["metadata"]["uid"] for pod in scene.namespace.running_pods()]


def _kill(scene: Scene, pod: str) -> Collection[str]:
    uid = scene.namespace.read("pod", pod)["metadata"]["uid"]
    scene.namespace.kill(pod)
    return [uid]


def _any_of(scene: Scene, component: str) -> str:
    return scene.random.choice(sorted(scene.namespace.ready_pods(component)))


def _at_primary(scene: Scene, *command: str) -> None:
    scene.namespace.kubectl("exec", _primary(scene), "--container=postgres", "--", *command)


def _primary(scene: Scene) -> str:
    found = scene.namespace.read("pods", f"--selector={PRIMARY}")["items"]
    if not found:
        raise NoSuchPartError("the database has no primary: it is not replicated")
    return str(found[0]["metadata"]["name"])
