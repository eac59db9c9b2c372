"""The chart beside the previous release's, and beside itself: what `helm upgrade` and `helm rollback` may change."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_harness.fixed import fixed, refused, refused_of
from chart_harness.rendering import Manifest

from ci import previous
from tests.harness import helm
from tests.harness.helm import ROOT
from tests.render.rendered import EXPOSED, PRODUCTION, TESTING, Installation

UPGRADING = ROOT / "UPGRADING.md"
OTHER_MODES: dict[str, dict[str, Any]] = {
    "a database in memory": {
        "global.database.mode": "memory",
        **{f"actor-system.{pods}": 1 for pods in ("replicas", "autoscaling.maxReplicas")},
        "actor-system.ray.mode": "embedded",
    },
    "a prefix": {"global.namePrefix": "site-a-"},
    "a registry": {"global.image.registry": "registry.example.org"},
    "a storage class": {"global.storageClass": "fast"},
    "secrets of the user's": {f"global.{part}.existingSecret": "mine" for part in ("database", "api", "nats", "ray")},
}
"""What both charts know, and what no values file has."""
STAYING: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "global.database.mode": ({}, "single", "replicated"),
    "global.storageClass": ({}, "", "fast"),
    "nats.storage": ({}, "20Gi", "21Gi"),
    "postgres.storage": ({}, "20Gi", "21Gi"),
    "actor-system.ray.head.storage": ({}, "1Gi", "2Gi"),
    "api.mqttLoadBalancer.className": (EXPOSED, "a", "b"),
}
"""Values that stay: how the installation is beside them, and two of each."""


def exceptions() -> dict[str, tuple[dict[str, set[str]], list[str]]]:
    """By values file: what UPGRADING.md says that Kubernetes refuses, and the arguments that keep it as it is."""
    [table] = re.findall(r"<!-- fixed: begin -->\n(.*?)<!-- fixed: end -->", UPGRADING.read_text(), re.DOTALL)
    _head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    found: dict[str, tuple[dict[str, set[str]], list[str]]] = {}
    for name, where, fields, kept in rows:
        known, arguments = found.setdefault(Path(name.strip("`")).stem, ({}, []))
        known[where.strip("`")] = set(re.findall("`(.+?)`", fields))
        arguments += (part for value in re.findall("`(.+?)`", kept) for part in ("--set", value))
    return found


def staying() -> set[str]:
    """The values that UPGRADING.md says to stay."""
    [names] = re.findall(r"^- \*\*Values that stay\*\*.*?:(.*?)[.]\s", UPGRADING.read_text(), re.MULTILINE | re.DOTALL)
    return set(re.findall("`(.+?)`", names))


def claim(size: str, storage_class: str, **limits: str) -> Manifest:
    resources = {"requests": {"storage": size}, **({"limits": limits} if limits else {})}
    spec = {"storageClassName": storage_class, "resources": resources}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": spec}


def manifests(*arguments: str, chart: Path = helm.CHART) -> list[Manifest]:
    return [one for one in yaml.load_all(helm.template(*arguments, chart=chart), Loader=yaml.CSafeLoader) if one]


@pytest.mark.parametrize("name", ["development", "testing", "production"])
def test_only_what_the_upgrade_guide_names_is_refused_and_what_it_says_keeps_it(previous_tree: Path, name: str) -> None:
    known, arguments = exceptions().get(name, ({}, []))
    old = manifests("--values", f"{previous_tree}/values/{name}.yaml", chart=previous_tree / previous.CHART)
    ours = ("--values", str(helm.values_file(name)))
    assert refused(old, manifests(*ours)) == known
    assert refused(old, manifests(*ours, *arguments)) == {}


@pytest.mark.parametrize("sets", OTHER_MODES.values(), ids=OTHER_MODES)
def test_a_values_file_that_is_given_again_changes_nothing_that_stays(
    previous_tree: Path, sets: dict[str, Any]
) -> None:
    given = [part for path, value in sets.items() for part in ("--set-json", f"{path}={json.dumps(value)}")]
    values = ("--values", f"{previous_tree}/values/production.yaml", *given)
    old, new = manifests(*values, chart=previous_tree / previous.CHART), manifests(*values)
    assert {one["kind"] for one in old} >= {"StatefulSet", "Deployment", "Service"}
    assert refused(old, new) == {}


@pytest.mark.parametrize("path", STAYING)
def test_a_value_that_stays_would_be_refused(path: str) -> None:
    beside, one, another = STAYING[path]
    old, new = (Installation("changed", (PRODUCTION,), {**beside, path: value}) for value in (one, another))
    assert refused(old.manifests, new.manifests) != {}


def test_the_upgrade_guide_names_the_values_that_stay() -> None:
    assert staying() == STAYING.keys()


def test_a_kind_that_nobody_has_looked_up_is_not_passed_over() -> None:
    with pytest.raises(LookupError, match="what Kubernetes lets change in a Lease is not known"):
        fixed({"kind": "Lease", "metadata": {"name": "x"}})
    with pytest.raises(LookupError, match="in a ConfigMap"):
        fixed({"kind": "ConfigMap", "metadata": {"name": "x"}, "immutable": True})


def test_every_kind_of_every_installation_has_been_looked_up(installation: Installation) -> None:
    assert refused(installation.manifests, installation.manifests) == {}


def test_a_job_that_would_run_differently_has_another_name() -> None:
    before, after = (Installation("tagged", (TESTING,), {"global.image.tag": tag}) for tag in ("1.0.0", "1.0.1"))
    assert refused(before.manifests, after.manifests) == {}


@pytest.mark.parametrize(
    ("size", "storage_class", "staying"),
    [("1.5Gi", "a", set()), ("1G", "a", {"resources"}), ("1Gi", "b", {"storageClassName"})],
    ids=["larger", "smaller", "elsewhere"],
)
def test_a_claim_by_itself_may_grow_and_do_nothing_else(size: str, storage_class: str, staying: set[str]) -> None:
    assert refused_of(claim("1Gi", "a"), claim(size, storage_class)) == staying
    assert refused_of(claim("1Gi", "a"), claim(size, storage_class, storage="2Gi")) == staying | {"resources"}


@pytest.mark.parametrize(("field", "staying"), [("image", set()), ("command", {"containers"})])
def test_a_pod_by_itself_may_get_another_image(field: str, staying: set[str]) -> None:
    pods = (
        {"kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"name": "y", field: one}]}} for one in "ab"
    )
    assert refused_of(*pods) == staying
