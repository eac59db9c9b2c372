"""What NetworkPolicies let through, worked out from their manifests as Kubernetes defines it.

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from chart_harness.rendering import Manifest

from tests.harness.helm import NAMESPACE

Port = tuple[str, int]
"""Protocol and number: ("TCP", 8000)."""
LAST = 65535
ALL: frozenset[Port] = frozenset(
    (protocol, number) for protocol in ("TCP", "UDP", "SCTP") for number in range(1, LAST + 1)
)


@dataclass(frozen=True)
class Place:
    """One end of a connection: a pod, or with ``labels`` None an address outside of all pods."""

    address: str
    labels: Mapping[str, str] | None = None
    namespace: str = NAMESPACE
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


class Policies:
    """All NetworkPolicies of one namespace.

    ``block_matches_pods`` is what Kubernetes leaves open: whether an `ipBlock` means pods of such addresses, too.
    """

    def __init__(
        self, manifests: Iterable[Manifest], namespace: str = NAMESPACE, *, block_matches_pods: bool = True
    ) -> None:
        self._policies = [one for one in manifests if one["kind"] == "NetworkPolicy"]
        self._namespace = namespace
        self._block_matches_pods = block_matches_pods

    def allowed(self, source: Place, target: Place) -> frozenset[Port]:
        """The ports at which a connection from source to target comes through."""
        return self.opened(source, target, "Egress") & self.opened(target, source, "Ingress")

    def opened(self, pod: Place, peer: Place, direction: str) -> frozenset[Port]:
        """The ports that the pod's own policies open towards the peer (`Egress`), or to it (`Ingress`)."""
        policies = self._of(pod, direction)
        if not policies:
            return ALL
        key, who = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
        rules = [rule for policy in policies for rule in policy["spec"].get(key) or []]
        matching = [rule for rule in rules if not rule.get(who) or any(self._is(one, peer) for one in rule[who])]
        return frozenset().union(*map(ports_of, matching))

    def isolated(self, place: Place, direction: str) -> bool:
        """Whether any policy is for this pod and direction (`Ingress`, `Egress`): only what rules name is allowed."""
        return bool(self._of(place, direction))

    def _of(self, pod: Place, direction: str) -> list[Manifest]:
        if pod.labels is None or pod.namespace != self._namespace:
            return []
        return [
            policy
            for policy in self._policies
            if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], pod.labels)
        ]

    def _is(self, peer: Manifest, place: Place) -> bool:
        if "ipBlock" in peer:
            if place.labels is not None and not self._block_matches_pods:
                return False
            block = peer["ipBlock"]
            return within(place.address, block["cidr"]) and not any(
                within(place.address, hole) for hole in block.get("except", [])
            )
        if place.labels is None:
            return False
        if "namespaceSelector" in peer:
            there = selects(peer["namespaceSelector"], place.namespace_labels)
        else:
            there = place.namespace == self._namespace
        return there and selects(peer.get("podSelector", {}), place.labels)


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches. Raises KeyError for an operator that Kubernetes does not know."""
    operators: dict[str, Callable[[str, list[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, _: key in labels,
        "DoesNotExist": lambda key, _: key not in labels,
    }
    expressions = selector.get("matchExpressions", [])
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        operators[one["operator"]](one["key"], one.get("values", [])) for one in expressions
    )


def ports_of(rule: Manifest) -> frozenset[Port]:
    """The ports that a rule is for. Raises TypeError for a port by name, which depends on the pod."""
    if not rule.get("ports"):
        return ALL
    return frozenset(
        (one.get("protocol", "TCP"), number)
        for one in rule["ports"]
        for number in range(one.get("port", 1), one.get("endPort", one.get("port", LAST)) + 1)
    )


def within(address: str, network: str) -> bool:
    """Whether an address lies in a network (CIDR)."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def ranges(ports: frozenset[Port]) -> str:
    """Ports as a reader wants them: `53, 10101-10106, 53/UDP`; none is `-`, every one `all`."""
    if ports == ALL:
        return "all"
    runs: list[tuple[str, int, int]] = []
    for protocol, number in sorted(ports):
        if runs and runs[-1][0] == protocol and runs[-1][2] == number - 1:
            runs[-1] = (protocol, runs[-1][1], number)
        else:
            runs.append((protocol, number, number))
    words = [
        (str(first) if first == last else f"{first}-{last}") + ("" if protocol == "TCP" else f"/{protocol}")
        for protocol, first, last in runs
    ]
    return ", ".join(words) or "-"


def parsed(text: str) -> frozenset[Port]:
    """The ports of such words again."""
    if text in ("all", "-"):
        return ALL if text == "all" else frozenset()
    ports: set[Port] = set()
    for word in text.split(", "):
        numbers, _, protocol = word.partition("/")
        first, _, last = numbers.partition("-")
        ports |= {(protocol or "TCP", number) for number in range(int(first), int(last or first) + 1)}
    return frozenset(ports)
