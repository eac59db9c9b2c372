"""Links between nodes that are slow or lose packets, and the two services of Kubernetes that everything leans on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from tests.harness.faults.scene import NoSuchPartError, Scene, Strike
from tests.harness.freezing import frozen_pods
from tests.harness.nodes import LINK, NotBreakableError, breakable, on_node

SLOW = f"{LINK} root tbf rate 4mbit burst 16kb latency 400ms"
"""What waits longer is dropped."""
LOSES = "0.03"
LOSSY = f"--in-interface {LINK} --match statistic --mode random --probability {LOSES} --jump DROP"
SYSTEM = "kube-system"


def _filter(action: str) -> str:
    """A shell script that drops packets, or no longer."""
    chains = [f"{program} {action} {chain}" for program in ("iptables", "ip6tables") for chain in ("INPUT", "FORWARD")]
    return "\n".join(f"{chain} {LOSSY} || exit" for chain in chains)


def impaired(begin: str, end: str) -> Strike:
    """Every link of a node without the Kubernetes API, by a shell script there; ``end`` undoes what ``begin`` did."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        with ExitStack() as mending:
            try:
                nodes = breakable(scene.namespace.cluster)
                for node in nodes:
                    on_node(node, begin)
                    mending.callback(on_node, node, end)
            except NotBreakableError as lacking:
                raise NoSuchPartError(str(lacking)) from lacking
            scene.note(f"{', '.join(nodes)}: {begin.splitlines()[0]}")
            yield ()

    return strike


slow = impaired(f"tc qdisc add dev {SLOW}", f"tc qdisc del dev {LINK} root")
lossy = impaired(_filter("-I"), _filter("-D"))


def silent(selector: str) -> Strike:
    """Those pods of Kubernetes itself stand still, so that whoever asks them waits for an answer."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        pods = scene.namespace.cluster.read("pods", f"--namespace={SYSTEM}", f"--selector={selector}")["items"]
        if not pods:
            raise NoSuchPartError(f"{SYSTEM} has no pods with {selector}")
        try:
            with frozen_pods(pods):
                scene.note(f"{', '.join(pod['metadata']['name'] for pod in pods)} stands still")
                yield ()
        except NotBreakableError as lacking:
            raise NoSuchPartError(str(lacking)) from lacking

    return strike


dns = silent("k8s-app=kube-dns")
kubernetes_api = silent("component=kube-apiserver")
