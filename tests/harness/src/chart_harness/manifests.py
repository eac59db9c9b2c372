"""Rendered objects, asked for by what tests want to know of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from chart_harness.rendering import Chart, Manifest

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
IN_EVERY_NAMESPACE = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
"""What Kubernetes itself puts there."""
ENDING = ("Job", "CronJob", "Pod")
T = TypeVar("T")


@dataclass(frozen=True)
class Container:
    """One container and the workload that it belongs to."""

    workload: Workload
    spec: Manifest

    @property
    def env(self) -> dict[str, Manifest]:
        """Variables by name, as they stand in the manifest (`value` or `valueFrom`)."""
        return {variable["name"]: variable for variable in self.spec.get("env", [])}

    @property
    def secret_keys(self) -> list[tuple[str, str, bool]]:
        """(secret, key, whether it may be missing) of all variables and of single keys in projected files."""
        found = [
            one["valueFrom"]["secretKeyRef"] for one in self.env.values() if "secretKeyRef" in one.get("valueFrom", {})
        ]
        keys = [(one["name"], one["key"], one.get("optional", False)) for one in found]
        for mount in self.spec.get("volumeMounts", []):
            for source in self.workload.volumes.get(mount["name"], {}).get("projected", {}).get("sources", []):
                given = source.get("secret", {})
                keys += [(given["name"], item["key"], given.get("optional", False)) for item in given.get("items", [])]
        return keys

    @property
    def ports(self) -> dict[str, int]:
        """Port numbers by name; one without a name by its number."""
        return {
            port.get("name", str(port["containerPort"])): port["containerPort"] for port in self.spec.get("ports", [])
        }

    def opens(self, port: str | int) -> bool:
        """Whether this is one of its ports, by name or number."""
        return port in self.ports or port in self.ports.values()

    def __str__(self) -> str:
        return f"{self.workload}/{self.spec['name']}"


@dataclass(frozen=True)
class Workload:
    """An object that runs pods: Deployment, StatefulSet, DaemonSet, Job, CronJob, or a Pod itself."""

    manifest: Manifest

    @property
    def kind(self) -> str:
        """Such as `Deployment`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """The object's own, which is not that of its pods."""
        return str(self.manifest["metadata"]["name"])

    @property
    def serves(self) -> bool:
        """Runs for ever, rather than to an end."""
        return self.kind not in ENDING

    @property
    def template(self) -> Manifest:
        """Metadata and spec of the pods."""
        jobs = self.manifest["spec"]["jobTemplate"] if self.kind == "CronJob" else self.manifest
        template: Manifest = jobs if self.kind == "Pod" else jobs["spec"]["template"]
        return template

    @property
    def pod(self) -> Manifest:
        """Spec of the pods."""
        pod: Manifest = self.template["spec"]
        return pod

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the pods."""
        labels: dict[str, str] = self.template.get("metadata", {}).get("labels", {})
        return labels

    @property
    def containers(self) -> list[Container]:
        """All of them, those first that start before the others."""
        return [Container(self, spec) for spec in [*self.pod.get("initContainers", []), *self.pod["containers"]]]

    @property
    def running(self) -> list[Container]:
        """Without those that end before the others start; one that starts before them and goes on is a sidecar."""
        sidecars = [one for one in self.pod.get("initContainers", []) if one.get("restartPolicy") == "Always"]
        return [Container(self, spec) for spec in [*sidecars, *self.pod["containers"]]]

    @property
    def volumes(self) -> dict[str, Manifest]:
        """Volumes of the pod by name, without the claims of a StatefulSet."""
        return {volume["name"]: volume for volume in self.pod.get("volumes", [])}

    @property
    def claims(self) -> dict[str, Manifest]:
        """Claim templates of a StatefulSet by name."""
        claims = self.manifest["spec"].get("volumeClaimTemplates", [])
        return {claim["metadata"]["name"]: claim for claim in claims}

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Objects(ABC):
    """All objects of an installation."""

    @property
    @abstractmethod
    def manifests(self) -> list[Manifest]:
        """As they were rendered."""

    def of_kind(self, kind: str) -> list[Manifest]:
        """All objects of one kind, in the order of the manifests."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """The object of this kind and name. Raises LookupError with what there is instead."""
        names = [manifest["metadata"]["name"] for manifest in self.of_kind(kind)]
        if name not in names:
            raise LookupError(f"{self} renders no {kind} {name}, only {names}")
        return self.of_kind(kind)[names.index(name)]

    @property
    def workloads(self) -> list[Workload]:
        """Everything that runs pods."""
        found = (one for one in self.manifests if one["kind"] in WORKLOADS and not is_custom(one))
        return [Workload(manifest) for manifest in found]

    @property
    def services(self) -> list[Workload]:
        """The workloads that run for ever."""
        return [workload for workload in self.workloads if workload.serves]

    @property
    def containers(self) -> Iterator[Container]:
        """Those of all workloads."""
        return (container for workload in self.workloads for container in workload.containers)

    def workload(self, name: str) -> Workload:
        """The first workload of this name. Raises LookupError with what there is instead."""
        return self._first(name, {workload.name: workload for workload in reversed(self.workloads)}, "workload")

    def container(self, name: str) -> Container:
        """The first container of this name. Raises LookupError with what there is instead."""
        found = {container.spec["name"]: container for container in reversed([*self.containers])}
        return self._first(name, found, "container")

    def _first(self, name: str, there: Mapping[str, T], what: str) -> T:
        if name not in there:
            raise LookupError(f"{self} renders no {what} {name}, only {sorted(there)}")
        return there[name]


def is_custom(manifest: Manifest) -> bool:
    """Whether its group is outside of k8s.io, so that its fields mean what somebody else says."""
    group = manifest.get("apiVersion", "").rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a selector of a workload (`matchLabels`, `matchExpressions`) takes pods with these labels.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements
    """
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _fits(one, labels) for one in selector.get("matchExpressions", [])
    )


def _fits(requirement: Manifest, labels: Mapping[str, str]) -> bool:
    is_there = requirement["key"] in labels
    match requirement["operator"]:
        case "Exists":
            return is_there
        case "DoesNotExist":
            return not is_there
        case "In":
            return is_there and labels[requirement["key"]] in requirement["values"]
        case _:
            return not is_there or labels[requirement["key"]] not in requirement["values"]


@dataclass(frozen=True)
class Rendered(Objects):
    """What a chart makes of one values file.

    ``previous`` is the chart that was released before it; ``given`` are objects, as `Kind/name`, that are in the
    cluster without the chart.
    """

    chart: Chart
    values: Path
    sets: Mapping[str, Any] = field(default_factory=dict)
    previous: Chart | None = None
    given: frozenset[str] = frozenset()

    @cached_property
    def manifests(self) -> list[Manifest]:
        """As they were rendered, once. Raises HelmError where the chart refuses the values."""
        return self.chart.render(self.values, sets=self.sets)

    def __str__(self) -> str:
        return self.values.stem
