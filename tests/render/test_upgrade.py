"""The chart beside the previous release's: Kubernetes lets `helm upgrade` and `helm rollback` change what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci import previous
from tests.harness import helm
from tests.harness.helm import Manifest

CHANGEABLE = {
    "StatefulSet": {
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "persistentVolumeClaimRetentionPolicy",
        "revisionHistoryLimit",
    },
}
"""What Kubernetes lets change in `spec`; of other kinds see `fixed`."""
KEPT = {
    "testing": {"global.database.mode": "single"},
    "production": {
        "global.database.mode": "single",
        "global.stream.maxSize": "16Gi",
        "nats.storage": "32Gi",
    },
}
"""What UPGRADING.md says to keep with a values file that has changed."""


def fixed(manifest: Manifest) -> dict[str, Any]:
    """What Kubernetes never lets change in this object."""
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "StatefulSet":
            return {key: value for key, value in spec.items() if key not in CHANGEABLE["StatefulSet"]}
        case "Deployment":
            return {"selector": spec["selector"]}
        case "Job":
            return {key: spec.get(key) for key in ("selector", "template", "completions", "completionMode")}
        case "Service":
            return {"headless": spec.get("clusterIP")}
        case "RoleBinding":
            return {"roleRef": manifest["roleRef"]}
        case _:
            return {}


def objects(text: str) -> dict[tuple[str, str], Manifest]:
    """All that Helm changes in place, by kind and name: hooks are deleted and made anew."""
    documents = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    kept = [one for one in documents if "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    return {(one["kind"], one["metadata"]["name"]): one for one in kept}


@pytest.mark.parametrize("name", ["development", "testing", "production"])
def test_nothing_changes_that_kubernetes_does_not_let_change(previous_tree: Path, name: str) -> None:
    sets = [part for key, value in KEPT.get(name, {}).items() for part in ("--set-json", f"{key}={json.dumps(value)}")]
    old = objects(
        helm.template("--values", f"{previous_tree}/values/{name}.yaml", chart=previous_tree / previous.CHART)
    )
    new = objects(helm.template("--values", str(helm.values_file(name)), *sets))
    both = old.keys() & new.keys()
    assert {kind for kind, _ in both} >= {"StatefulSet", "Deployment", "Service"}
    assert {key: fixed(new[key]) for key in both} == {key: fixed(old[key]) for key in both}


def test_a_change_that_kubernetes_refuses_is_found() -> None:
    single, several = (
        objects(helm.template("--set", f"global.database.mode={mode}"))["StatefulSet", "postgres"]
        for mode in ("single", "replicated")
    )
    assert fixed(single) != fixed(several)
