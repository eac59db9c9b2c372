"""Rules that every chart should keep: each looks at what was rendered, and has one sentence for whatever breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from chart_harness.admission import complaints
from chart_harness.manifests import Rendered
from chart_harness.rules.pods import pod_security, probes, resources
from chart_harness.rules.references import ports, references, selectors
from chart_harness.rules.secrets import plain_secrets
from chart_harness.rules.templates import deterministic, unknown_keys, upgrade

Rule = Callable[[Rendered], Iterable[str]]


def names(chart: Rendered) -> Iterable[str]:
    """Names, labels, networks and schedules are what Kubernetes takes beyond its schemas."""
    return complaints(chart.manifests)


RULES: Mapping[str, Rule] = {
    "probes": probes,
    "resources": resources,
    "pod-security": pod_security,
    "selectors": selectors,
    "ports": ports,
    "references": references,
    "plain-secrets": plain_secrets,
    "names": names,
    "upgrade": upgrade,
    "deterministic": deterministic,
    "unknown-keys": unknown_keys,
}
