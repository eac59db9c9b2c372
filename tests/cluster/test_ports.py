"""What pods listen on is what they declare, or what their network policies know: nothing else waits for clients."""

from __future__ import annotations

import pytest

from tests.harness.installation import Installation
from tests.harness.listening import listening
from tests.harness.matrix import SERVICES
from tests.harness.policies import Port, ports_of, selects


@pytest.mark.parametrize("component", SERVICES)
def test_a_pod_listens_on_its_declared_ports_and_on_no_other(testing: Installation, component: str) -> None:
    namespace = testing.namespace
    pod = namespace.pods(component)[0]
    declared: set[Port] = {
        (port.get("protocol", "TCP"), port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }
    known: set[Port] = set()
    for policy in namespace.read("networkpolicies")["items"]:
        if selects(policy["spec"]["podSelector"], pod["metadata"]["labels"]):
            known = known.union(*map(ports_of, policy["spec"].get("ingress", [])))
    found = listening(namespace, pod["metadata"]["name"])
    assert found - declared - known == set(), "nobody declared these"
    assert declared - found == set(), "nobody listens on these"
