"""More actor-system pods when frames wait: by the custom metrics API, or by KEDA."""

from __future__ import annotations

import pytest
from iot_system.services.shard_metrics import LAG

from ci import schemas
from tests.harness import helm
from tests.render.rendered import BACKLOG, KEDA, METRICS_API, PRODUCTION, Installation
from tests.render.test_kubernetes_schemas import kubeconform

[METRIC] = {metric.name for metric in LAG.describe()}
"""What a pod calls its backlog."""


@pytest.fixture(scope="module")
def by_cpu() -> Installation:
    return Installation("by CPU", (PRODUCTION,))


def test_the_backlog_counts_beside_cpu_for_the_actor_system_alone(by_cpu: Installation) -> None:
    both = Installation("by the backlog", (PRODUCTION,), METRICS_API)
    before = by_cpu.one("HorizontalPodAutoscaler", "actor-system")["spec"]
    after = both.one("HorizontalPodAutoscaler", "actor-system")["spec"]
    backlog = {"metric": {"name": METRIC}, "target": {"type": "AverageValue", "averageValue": "1000000"}}
    assert after == before | {"metrics": [*before["metrics"], {"type": "Pods", "pods": backlog}]}
    assert both.one("HorizontalPodAutoscaler", "api") == by_cpu.one("HorizontalPodAutoscaler", "api")


def test_keda_makes_the_same_autoscaler_in_the_charts_place(by_cpu: Installation) -> None:
    keda = Installation("by KEDA", (PRODUCTION,), KEDA)
    names = [scaler["metadata"]["name"] for scaler in keda.of_kind("HorizontalPodAutoscaler")]
    assert names == ["api"]  # two autoscalers of one Deployment would undo each other's work
    own = by_cpu.one("HorizontalPodAutoscaler", "actor-system")["spec"]
    scaled = keda.one("ScaledObject", "actor-system")["spec"]
    assert scaled["scaleTargetRef"] == own["scaleTargetRef"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (own["minReplicas"], own["maxReplicas"])
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == own["behavior"]
    cpu, backlog = scaled["triggers"]
    assert (cpu["type"], cpu["metadata"]["value"]) == ("cpu", "75")
    assert backlog["metadata"]["serverAddress"] == KEDA[f"{BACKLOG}.prometheusUrl"]


def test_keda_asks_for_the_backlog_of_this_installation_only() -> None:
    sets = {**KEDA, "global.namePrefix": "site-a-"}
    scaled = Installation("by KEDA", (PRODUCTION,), sets).one("ScaledObject", "site-a-actor-system")["spec"]
    query = scaled["triggers"][1]["metadata"]["query"]
    assert query == f'sum({METRIC}{{namespace="{helm.NAMESPACE}",pod=~"site-a-actor-system-.+"}})'


@pytest.mark.parametrize("sets", [METRICS_API, KEDA], ids=["metrics API", "KEDA"])
def test_kubernetes_and_keda_accept_every_field(sets: dict[str, object]) -> None:
    run = kubeconform(helm.render_text(PRODUCTION, sets=sets), helm.KUBERNETES, schemas.location())
    assert run.returncode == 0, run.stdout
    assert "Skipped: 0" in run.stdout


def test_a_broken_scaled_object_is_found() -> None:
    rendered = helm.render_text(PRODUCTION, sets=KEDA)
    run = kubeconform(rendered.replace("minReplicaCount:", "minReplicas:"), helm.KUBERNETES, schemas.location())
    assert run.returncode == 1
    assert "additional properties 'minReplicas' not allowed" in run.stdout
