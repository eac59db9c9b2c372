"""Links between nodes that are slow or lose packets, and the two services of Kubernetes that everything leans on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from tests.harness.errors import NoSuchPartError
from tests.harness.faults.scene import Scene, Strike
from tests.harness.freezing import frozen_pods
from tests.harness.nodes import LINK, breakable, on_node

SLOW = f"tc qdisc add dev {LINK} root tbf rate 4mbit burst 16kb latency 400ms"
"""What waits longer is dropped."""
FAST = f"! tc qdisc show dev {LINK} | grep -q '^qdisc tbf ' || tc qdisc del dev {LINK} root"
LOSES = "0.03"
LOSSY = f"--in-interface {LINK} --match statistic --mode random --probability {LOSES} --jump DROP"
CHAINS = [(program, chain) for program in ("iptables", "ip6tables") for chain in ("INPUT", "FORWARD")]
LOSE = "\n".join(f"{program} -I {chain} {LOSSY} || exit" for program, chain in CHAINS)
KEEP = "\n".join(
    f"while {program} -C {chain} {LOSSY} 2> /dev/null; do {program} -D {chain} {LOSSY} || exit; done"
    for program, chain in CHAINS
)
MENDING = (FAST, KEEP)
"""Shell scripts that undo on a node what is done here, as far as it is done."""
SYSTEM = "kube-system"


def impaired(begin: str, end: str) -> Strike:
    """Every link of a node without the Kubernetes API, by a shell script there; ``end`` undoes what ``begin`` did."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        nodes = breakable(scene.namespace.cluster)
        with ExitStack() as mending:
            for node in nodes:
                mending.callback(on_node, node, end)  # beforehand: what begins may end in the middle
                on_node(node, begin)
            scene.note(f"{', '.join(nodes)}: {begin.splitlines()[0]}")
            yield ()

    return strike


slow = impaired(SLOW, FAST)
lossy = impaired(LOSE, KEEP)


def silent(selector: str) -> Strike:
    """Those pods of Kubernetes itself stand still, so that whoever asks them waits for an answer."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        pods = scene.namespace.cluster.read("pods", f"--namespace={SYSTEM}", f"--selector={selector}")["items"]
        if not pods:
            raise NoSuchPartError(f"{SYSTEM} has no pods with {selector}")
        with frozen_pods(pods):
            scene.note(f"{', '.join(pod['metadata']['name'] for pod in pods)} stands still")
            yield ()

    return strike


dns = silent("k8s-app=kube-dns")
kubernetes_api = silent("component=kube-apiserver")
