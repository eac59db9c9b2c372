"""A way in that does not end with a pod: the API's Service, by its ports on a node that no fault takes away."""

from __future__ import annotations

import ssl
from typing import Any

from chart_harness.cluster import Kubernetes, Namespace

from tests.harness.nodes import CONTROL_PLANE
from tests.harness.rest import Rest

SERVICE = "api-service"


class Entry:
    """``url`` of REST, host and port of ``mqtt``, and ``rest`` as administrator; by TLS where there is ``trust``."""

    def __init__(self, namespace: Namespace, token: str, trust: ssl.SSLContext | None) -> None:
        host = _address(namespace.cluster)
        ports = {port["name"]: port["nodePort"] for port in namespace.read("service", SERVICE)["spec"]["ports"]}
        self.url = f"{'https' if trust else 'http'}://{host}:{ports['http']}"
        self.mqtt = host, int(ports["mqtts" if trust else "mqtt"])
        self.rest = Rest(self.url, token, trust=trust)

    def close(self) -> None:
        """Close its connections."""
        self.rest.close()


def open_to(cluster: Kubernetes) -> dict[str, Any]:
    """Values of an installation that has this way in: to everybody but pods.

    Who comes in by a node's port is seen with his own address, or with the node's.
    """
    nodes = cluster.read("nodes")["items"]
    pods = [node["spec"]["podCIDR"] for node in nodes if "podCIDR" in node["spec"]]
    everybody = [{"ipBlock": {"cidr": "0.0.0.0/0", "except": pods}}]
    return {
        "api.service.type": "NodePort",
        "api.hostNames": [_address(cluster)],
        "networkPolicy.rest": everybody,
        "networkPolicy.mqtt": everybody,
    }


def _address(cluster: Kubernetes) -> str:
    nodes = cluster.read("nodes", f"--selector={CONTROL_PLANE}")["items"] or cluster.read("nodes")["items"]
    return next(str(one["address"]) for one in nodes[0]["status"]["addresses"] if one["type"] == "InternalIP")
