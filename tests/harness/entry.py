"""A way in that does not end with a pod: the API's Service, by its ports on a node that no fault takes away."""

from __future__ import annotations

from tests.harness.cluster import Namespace
from tests.harness.nodes import CONTROL_PLANE
from tests.harness.rest import Rest

SERVICE = "api-service"
EVERYBODY = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
"""Who comes in by a node's port is seen with an address of the node's."""
OPEN = {"api.service.type": "NodePort", "networkPolicy.rest": EVERYBODY, "networkPolicy.mqtt": EVERYBODY}
"""Values of an installation that has this way in."""


class Entry:
    """``url`` of REST, host and port of ``mqtt``, and ``rest`` as administrator."""

    def __init__(self, namespace: Namespace, token: str) -> None:
        host = _address(namespace)
        ports = {port["name"]: port["nodePort"] for port in namespace.read("service", SERVICE)["spec"]["ports"]}
        self.url = f"http://{host}:{ports['http']}"
        self.mqtt = host, int(ports["mqtt"])
        self.rest = Rest(self.url, token)

    def close(self) -> None:
        """Close its connections."""
        self.rest.close()


def _address(namespace: Namespace) -> str:
    nodes = (
        namespace.cluster.read("nodes", f"--selector={CONTROL_PLANE}")["items"]
        or namespace.cluster.read("nodes")["items"]
    )
    return next(str(one["address"]) for one in nodes[0]["status"]["addresses"] if one["type"] == "InternalIP")
