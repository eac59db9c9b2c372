"""What an uninstallation leaves, and an installation that finds it again."""

from __future__ import annotations

from tests.cluster import sample
from tests.cluster.test_switching import NONE
from tests.harness.installation import Installation
from tests.harness.waiting import wait_until

GIVEN_BY_KUBERNETES = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
NOT_KEPT = ("events", "events.events.k8s.io", "pods.metrics.k8s.io")
LEFT = {"persistentvolumeclaim", "secret", "configmap"}
PATRONIS = "configmap/database-"
"""What it knows of the data in the volumes, which belongs to them."""
GONE_WITHIN_S = 120.0
LAST_CHECK = "pod/check"
"""Of the last `helm test`; Helm leaves it for its log."""


def objects(installation: Installation) -> set[str]:
    """Everything in the namespace as `kind/name`, but what Kubernetes itself puts there."""
    kinds = installation.namespace.cluster.kubectl(
        "api-resources", "--verbs=list", "--namespaced", "--output=name"
    ).split()
    listed = ",".join(kind for kind in kinds if kind not in NOT_KEPT)
    found = installation.namespace.kubectl("get", listed, "--output=name", "--ignore-not-found").split()
    return {name.replace(".apps/", "/") for name in found} - GIVEN_BY_KUBERNETES


def test_only_volumes_and_secrets_are_left_and_a_new_installation_finds_its_data(testing: Installation) -> None:
    testing.uninstall()

    def more_is_left() -> set[str]:
        return {name for name in objects(testing) - {LAST_CHECK} if name.partition("/")[0] not in LEFT}

    wait_until(
        lambda: not more_is_left(), within_s=GONE_WITHIN_S, every_s=1, why="more than volumes and secrets is left"
    )
    left = objects(testing) - {LAST_CHECK}
    assert {name.partition("/")[0] for name in left} == LEFT
    assert all(name.startswith(PATRONIS) for name in left if name.startswith("configmap/"))

    testing.install(sets=NONE)  # what test_switching begins with
    sample.assert_held_once(testing.rest)
