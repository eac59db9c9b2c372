"""Labels and selectors."""

from __future__ import annotations

import re

from chart_harness.rules.references import selectors

from tests.harness.helm import RELEASE
from tests.render.rendered import EXPOSED, HOOK, TESTING, Installation

SELECTING = {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
STANDARD = SELECTING | {
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
}


def test_every_object_bears_the_standard_labels(installation: Installation) -> None:
    for manifest in installation.manifests:
        labels = manifest["metadata"]["labels"]
        assert labels.keys() >= STANDARD, manifest["metadata"]["name"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/part-of"] == "iot-system"


def test_labels_and_annotations_of_the_users_own_reach_everything_but_selectors_and_claims() -> None:
    own = {"example.org/team": "iot", "cost-centre": "123"}
    noted = {"example.org/owner": "true"}
    installation = Installation(
        "own",
        (TESTING,),
        {"global.commonLabels": own, "global.commonAnnotations": noted, "api.autoscaling.maxReplicas": 3},
    )
    for manifest in installation.manifests:
        assert own.items() <= manifest["metadata"]["labels"].items(), manifest["metadata"]["name"]
        assert noted.items() <= manifest["metadata"]["annotations"].items(), manifest["metadata"]["name"]
    for workload in installation.workloads:
        assert own.items() <= workload.labels.items(), workload
    for workload in installation.services:
        assert workload.manifest["spec"]["selector"]["matchLabels"].keys() == SELECTING
        assert all(claim["metadata"]["labels"].keys() == SELECTING for claim in workload.claims.values())


def test_an_annotation_of_the_users_own_takes_no_hook_away() -> None:
    def hooks(installation: Installation) -> set[tuple[str, str]]:
        found = {
            (one["kind"], one["metadata"]["name"]): one["metadata"].get("annotations", {}).get(HOOK, "")
            for one in installation.manifests
        }
        return {(name, hook) for (_kind, name), hook in found.items() if hook}

    plain, own = (
        Installation("plain", (TESTING,)),
        Installation("own", (TESTING,), {"global.commonAnnotations": {"a": "b"}}),
    )
    assert hooks(plain) == hooks(own) != set()


def test_an_annotation_of_one_object_wins_over_the_common_one() -> None:
    exposed = Installation("own", (TESTING,), {**EXPOSED, "global.commonAnnotations": {"a": "common"}})
    assert exposed.one("Ingress", "api")["metadata"]["annotations"]["a"] == "1"
    assert exposed.one("Service", "api-service")["metadata"]["annotations"]["a"] == "common"


def test_label_values_are_valid(installation: Installation) -> None:
    valid = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
    for manifest in installation.manifests:
        for key, value in manifest["metadata"]["labels"].items():
            assert valid.fullmatch(str(value)), (key, value)


def test_selectors_use_unchanging_labels_only(installation: Installation) -> None:
    for workload in installation.services:
        assert workload.manifest["spec"]["selector"]["matchLabels"].keys() == SELECTING, workload


def test_a_selector_matches_the_pods_of_its_own_workload_only(installation: Installation) -> None:
    assert [*selectors(installation)] == []


def test_pods_bear_no_version_so_that_a_new_chart_alone_restarts_nothing(installation: Installation) -> None:
    for workload in installation.services:
        assert not workload.labels.keys() & {"app.kubernetes.io/version", "helm.sh/chart"}, workload


def test_claims_bear_selector_labels_only(installation: Installation) -> None:
    for workload in installation.workloads:
        for claim in workload.claims.values():
            assert claim["metadata"]["labels"].keys() == SELECTING, workload
