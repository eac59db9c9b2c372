"""Pods that end without a farewell, processes of theirs that do, and containers that stand still."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from tests.harness.faults.scene import NoSuchPartError, Scene, Strike
from tests.harness.freezing import frozen_pods
from tests.harness.installation import DATABASE_ROLE
from tests.harness.jetstream import stream_leader
from tests.harness.nodes import NotBreakableError

PATRONI = "/etc/postgresql/patroni.yml"
POSTMASTER = "/var/lib/postgresql/data/pgdata/postmaster.pid"
PRIMARY = f"{DATABASE_ROLE}=primary"
HOST = "ray::Host"
"""What Ray calls the processes of shards, and that of the coordinator, as `ps` shows them."""
FIND = """
import pathlib, sys
for one in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if one.read_bytes().startswith(sys.argv[1].encode()):
        print(one.parent.name)
"""

Find = Callable[[Scene], str]
"""The name of a pod to be struck."""


def any_pod(component: str) -> Find:
    """One of a component's."""
    return lambda scene: scene.any_of(component)


def primary(scene: Scene) -> str:
    """The database server that writes."""
    found = scene.namespace.read("pods", f"--selector={PRIMARY}")["items"]
    if not found:
        raise NoSuchPartError("the database has no primary: it is not replicated")
    return str(found[0]["metadata"]["name"])


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
        try:
            with frozen_pods([scene.namespace.read("pod", pod)]):
                scene.note(f"{pod} stands still")
                yield ()
        except NotBreakableError as lacking:
            raise NoSuchPartError(str(lacking)) from lacking

    return strike


@contextmanager
def switched_over(scene: Scene) -> Iterator[Collection[str]]:
    """Patroni makes another server the primary."""
    _at_primary(scene, "patronictl", "--config-file", PATRONI, "switchover", "--force")
    scene.note(f"{primary(scene)} is the new primary")
    yield ()


@contextmanager
def killed_postgres(scene: Scene) -> Iterator[Collection[str]]:
    """The processes, as out of memory they would be; Patroni lives, and decides."""
    _at_primary(scene, "sh", "-c", f"read -r process < {POSTMASTER} && kill -9 $process")
    scene.note("Postgres is killed")
    yield ()


@contextmanager
def killed_process(scene: Scene) -> Iterator[Collection[str]]:
    """A shard's or the coordinator's; its pod lives."""
    pod = scene.any_of("actor-system")
    found = scene.namespace.kubectl("exec", pod, "--", "python", "-c", FIND, HOST).split()
    if not found:
        raise NoSuchPartError(f"{pod} hosts nothing at present")
    kill = f"import os; os.kill({scene.random.choice(sorted(found))}, 9)"
    scene.namespace.kubectl("exec", pod, "--", "python", "-c", kill)
    scene.note(f"a process of {pod} is killed")
    yield ()


def _at_primary(scene: Scene, *command: str) -> None:
    scene.namespace.kubectl("exec", primary(scene), "--container=postgres", "--", *command)
