"""What Kubernetes never lets change in an object that exists: an upgrade that changes it would stop half way.

The API server's `validation` packages; for StatefulSets also
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chart_harness.quantities import amount
from chart_harness.rendering import Manifest

CHANGEABLE_OF_STATEFUL_SETS = {
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
    "revisionHistoryLimit",
}
CHANGEABLE = {
    "Certificate",
    "ConfigMap",
    "ClusterRole",
    "CronJob",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Issuer",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "RayCluster",
    "ResourceQuota",
    "Role",
    "ScaledObject",
    "ServiceAccount",
}
"""Kinds of which everything may change, as long as they are not made `immutable`."""
Objects = dict[tuple[str, str], Manifest]


def fixed(manifest: Manifest) -> dict[str, Any]:
    """The fields that stay. Raises LookupError for a kind that nobody has looked up yet."""
    kind, spec = manifest["kind"], manifest.get("spec", {})
    match kind:
        case "StatefulSet":
            return {key: value for key, value in spec.items() if key not in CHANGEABLE_OF_STATEFUL_SETS}
        case "Deployment" | "DaemonSet":
            return {"selector": spec["selector"]}
        case "Secret" if not manifest.get("immutable"):
            return {"type": manifest.get("type", "Opaque")}
        case "Pod":
            containers = {key: spec[key] for key in ("initContainers", "containers") if key in spec}
            return {**spec, **{key: [_without(one, "image") for one in inner] for key, inner in containers.items()}}
        case "Job":
            return {key: spec.get(key) for key in ("selector", "template", "completions", "completionMode")}
        case "PersistentVolumeClaim":  # which may ask for more, see `refused_of`
            asked = {**spec["resources"], "requests": _without(spec["resources"]["requests"], "storage")}
            return _without(spec, "volumeAttributesClassName") | {"resources": asked}
        case "Service":
            # To and from an address of its own; a class is given once.
            return {"clusterIP": spec.get("clusterIP"), "loadBalancerClass": spec.get("loadBalancerClass")}
        case "RoleBinding" | "ClusterRoleBinding":
            return {"roleRef": manifest["roleRef"]}
        case _ if kind in CHANGEABLE and not manifest.get("immutable"):
            return {}
    raise LookupError(f"what Kubernetes lets change in a {kind} is not known")


def in_place(manifests: Iterable[Manifest]) -> Objects:
    """All that Helm changes in place, by kind and name: hooks are deleted and made anew."""
    kept = [one for one in manifests if "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    return {(one["kind"], one["metadata"]["name"]): one for one in kept}


def refused(old: Iterable[Manifest], new: Iterable[Manifest]) -> dict[str, set[str]]:
    """The fields that Kubernetes would not let an upgrade from ``old`` to ``new`` change, by `Kind/name`."""
    before, after = in_place(old), in_place(new)
    changes = {
        f"{kind}/{name}": refused_of(before[kind, name], after[kind, name])
        for kind, name in before.keys() & after.keys()
    }
    return {where: fields for where, fields in changes.items() if fields}


def refused_of(old: Manifest, new: Manifest) -> set[str]:
    """The same of one object. Raises LookupError as `fixed`."""
    before, after = fixed(old), fixed(new)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    shrinks = new["kind"] == "PersistentVolumeClaim" and _size(new) < _size(old)
    return changed | {"resources"} if shrinks else changed


def _size(claim: Manifest) -> float:
    return amount(claim["spec"]["resources"]["requests"]["storage"])


def _without(fields: Manifest, name: str) -> Manifest:
    return {key: value for key, value in fields.items() if key != name}
