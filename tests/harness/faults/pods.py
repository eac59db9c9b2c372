"""Pods that end without a farewell, processes of theirs that do, and containers that stand still."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from chart_harness.waiting import wait_until

from tests.harness.errors import NoSuchPartError
from tests.harness.faults.scene import Scene, Strike
from tests.harness.freezing import frozen_pods
from tests.harness.installation import DATABASE_ROLE
from tests.harness.jetstream import stream_leader

PATRONI = "/etc/postgresql/patroni.yml"
POSTMASTER = "/var/lib/postgresql/data/pgdata/postmaster.pid"
PRIMARY = f"{DATABASE_ROLE}=primary"
PRIMARY_WITHIN_S = 60.0
HOST = "ray::Host"
"""What Ray calls the processes of shards, and that of the coordinator, as `ps` shows them."""
FIND = """
import contextlib, os, pathlib, sys
tables = [table for name in ("tcp", "tcp6") if (table := pathlib.Path("/proc/net", name)).exists()]
rows = [row.split() for table in tables for row in table.read_text().splitlines()]
to_broker = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(":107E")}
for one in pathlib.Path("/proc").glob("[0-9]*"):
    with contextlib.suppress(OSError):
        if (one / "cmdline").read_bytes().startswith(sys.argv[1].encode()):
            files = {os.readlink(file) for file in (one / "fd").iterdir()}
            print(one.name, "shard" if files & to_broker else "coordinator")
"""
"""Process ids, and what it is: shards talk to the broker, by port 4222, and the coordinator does not.

A shard that only begins, or has lost its connection, looks like it.
"""
COORDINATOR_WITHIN_S = 60.0

Find = Callable[[Scene], str]
"""The name of a pod to be struck."""


def any_pod(component: str) -> Find:
    """One of a component's."""
    return lambda scene: scene.any_of(component)


def primary(scene: Scene) -> str:
    """The database server that writes; while none does, that is waited for."""
    if not scene.namespace.read("pods", f"--selector={DATABASE_ROLE}")["items"]:
        raise NoSuchPartError("the database has no primary: it is not replicated")
    return _wait_for_primary(scene)


def leader(scene: Scene) -> str:
    """The NATS server that leads the stream of frames."""
    return stream_leader(scene.namespace)


def killed(find: Find) -> Strike:
    """The pod is deleted by force, as far as it has no volume."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        pod = find(scene)
        uid = scene.namespace.read("pod", pod)["metadata"]["uid"]
        scene.namespace.kill(pod)
        scene.note(f"{pod} is deleted")
        yield [uid]

    return strike


def frozen(find: Find) -> Strike:
    """All processes of the pod stand still; its connections stay open, and Kubernetes calls it running."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        pod = find(scene)
        with frozen_pods([scene.namespace.read("pod", pod)]):
            scene.note(f"{pod} stands still")
            yield ()

    return strike


@contextmanager
def switched_over(scene: Scene) -> Iterator[Collection[str]]:
    """Patroni makes another server the primary."""
    before = primary(scene)
    scene.installation.at_server(before, "patronictl", "--config-file", PATRONI, "switchover", "--force")
    scene.note(f"{_wait_for_primary(scene, but=before)} is the new primary")
    yield ()


@contextmanager
def killed_postgres(scene: Scene) -> Iterator[Collection[str]]:
    """The processes, as out of memory they would be; Patroni lives, and decides."""
    scene.installation.at_server(primary(scene), "sh", "-c", f"read -r process < {POSTMASTER} && kill -9 $process")
    scene.note("Postgres is killed")
    yield ()


@contextmanager
def killed_process(scene: Scene) -> Iterator[Collection[str]]:
    """A shard's or the coordinator's; its pod lives."""
    hosting = _hosting(scene)
    if not hosting:
        raise NoSuchPartError("no actor-system pod hosts anything at present")
    _kill(scene, *scene.random.choice(hosting))
    yield ()


@contextmanager
def killed_coordinator(scene: Scene) -> Iterator[Collection[str]]:
    """Its process, once there is no doubt which it is."""

    def found() -> list[tuple[str, str, str]]:
        coordinators = [one for one in _hosting(scene) if one[2] == "coordinator"]
        return coordinators if len(coordinators) == 1 else []

    [coordinator] = wait_until(found, within_s=COORDINATOR_WITHIN_S, every_s=1.0, why="no process is the coordinator")
    _kill(scene, *coordinator)
    yield ()


def _hosting(scene: Scene) -> list[tuple[str, str, str]]:
    """Pod, process id, and what that hosts, of all that serve."""
    found = []
    for pod in sorted(scene.namespace.ready_pods("actor-system")):
        for line in sorted(scene.namespace.kubectl("exec", pod, "--", "python", "-c", FIND, HOST).splitlines()):
            process, part = line.split()
            found.append((pod, process, part))
    return found


def _kill(scene: Scene, pod: str, process: str, part: str) -> None:
    scene.namespace.kubectl("exec", pod, "--", "python", "-c", f"import os; os.kill({process}, 9)")
    scene.note(f"a {part} in {pod} is killed")


def _wait_for_primary(scene: Scene, *, but: str = "") -> str:
    """Another one than ``but``."""

    def found() -> str:
        pods = scene.namespace.read("pods", f"--selector={PRIMARY}")["items"]
        names = (str(pod["metadata"]["name"]) for pod in pods)
        return next((name for name in names if name != but), "")

    return wait_until(found, within_s=PRIMARY_WITHIN_S, every_s=0.5, why="no database server is the primary")
