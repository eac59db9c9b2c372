"""What refers to another object: it must be there, and fit."""

from __future__ import annotations

from collections.abc import Iterator

from chart_harness.manifests import IN_EVERY_NAMESPACE, Container, Objects, Rendered, Workload, selects
from chart_harness.rendering import Manifest

CHANGING = ("app.kubernetes.io/version", "helm.sh/chart")
"""Labels that another release of the chart has otherwise; a selector never may."""


def selectors(chart: Objects) -> Iterator[str]:
    """A workload selects its own pods, no others, and by labels that stay; so do claims of volumes bear them."""
    for workload in chart.services:
        selector = workload.manifest["spec"]["selector"]
        matched = [str(other) for other in chart.workloads if selects(selector, other.labels)]
        if matched != [str(workload)]:
            yield f"{workload} selects the pods of {', '.join(matched) or 'nobody'}"
        labels = [*selector.get("matchLabels", {}), *(one["key"] for one in selector.get("matchExpressions", []))]
        yield from (f"{workload} selects by {label}, which changes" for label in CHANGING if label in labels)
        for name, claim in workload.claims.items():
            of_claim = claim["metadata"].get("labels", {})
            yield from (
                f"{workload}: claim {name} bears {label}, which changes" for label in CHANGING if label in of_claim
            )


def ports(chart: Objects) -> Iterator[str]:
    """A Service leads to ports that the pods of one workload open, and a StatefulSet names a Service of its own."""
    for service in chart.of_kind("Service"):
        name, selector = service["metadata"]["name"], service["spec"].get("selector")
        if not selector:
            continue  # what it leads to is said elsewhere
        selected = [one for one in chart.services if selector.items() <= one.labels.items()]
        if len(selected) != 1:
            yield f"Service/{name} selects the pods of {', '.join(map(str, selected)) or 'nobody'}"
            continue
        for port in service["spec"].get("ports", []):
            target = port.get("targetPort", port["port"])
            if not any(container.opens(target) for container in selected[0].running):
                yield f"Service/{name} leads to port {target}, which {selected[0]} has not"
    services = {service["metadata"]["name"] for service in chart.of_kind("Service")}
    for workload in chart.services:
        governing = workload.manifest["spec"].get("serviceName")
        if governing is not None and governing not in services:
            yield f"{workload} belongs to the Service {governing}, which is not rendered"


def references(chart: Rendered) -> Iterator[str]:
    """Config maps, secrets, their keys, claims, accounts and volumes that pods use are rendered, or given."""
    for workload in chart.workloads:
        yield from _missing(chart, f"{workload}", "ServiceAccount", workload.pod.get("serviceAccountName", "default"))
        for volume in workload.volumes.values():
            yield from _of_volume(chart, workload, volume)
        for container in workload.containers:
            yield from _of_container(chart, container)


def _of_volume(chart: Rendered, workload: Workload, volume: Manifest) -> Iterator[str]:
    where = f"{workload}: volume {volume['name']}"
    if "persistentVolumeClaim" in volume:
        yield from _missing(chart, where, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
    for source in [volume, *volume.get("projected", {}).get("sources", [])]:
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            used = source.get(field, {})
            if used and not used.get("optional"):
                keys = [item["key"] for item in used.get("items", [])]
                yield from _missing(chart, where, kind, used.get("name") or used["secretName"], *keys)


def _of_container(chart: Rendered, container: Container) -> Iterator[str]:
    for variable in container.spec.get("env", []):
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            used = variable.get("valueFrom", {}).get(field, {})
            if used and not used.get("optional"):
                yield from _missing(chart, f"{container}: {variable['name']}", kind, used["name"], used["key"])
    for source in container.spec.get("envFrom", []):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source and not source[field].get("optional"):
                yield from _missing(chart, str(container), kind, source[field]["name"])
    there = container.workload.volumes.keys() | container.workload.claims.keys()
    for mount in container.spec.get("volumeMounts", []):
        if mount["name"] not in there:
            yield f"{container} mounts {mount['name']}, which is no volume of its pod"


def _missing(chart: Rendered, where: str, kind: str, name: str, *keys: str) -> Iterator[str]:
    if f"{kind}/{name}" in chart.given | IN_EVERY_NAMESPACE:
        return
    found = [one for one in chart.of_kind(kind) if one["metadata"]["name"] == name]
    if not found:
        yield f"{where} uses {kind}/{name}, which is not rendered"
        return
    there = {key for part in ("data", "stringData", "binaryData") for key in found[0].get(part) or {}}
    yield from (f"{where} uses the key {key}, which {kind}/{name} has not" for key in keys if key not in there)
