"""Values that the schemas refuse, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart_harness.errors import HelmError

from tests.harness import helm
from tests.harness.helm import CHART

SCHEMAS = sorted(CHART.rglob("values.schema.json"))

REFUSED: list[tuple[str, Any, str]] = [
    ("replicas", 3, "iot-system:\n- at '': additional properties 'replicas' not allowed"),
    ("global.imageTag", "1", "iot-system:\n- at '/global': additional properties 'imageTag' not allowed"),
    ("api.replica", 2, "api:\n- at '': additional properties 'replica' not allowed"),
    ("actor-system.ray.head.size", "1Gi", "actor-system:\n- at '/ray/head': additional properties 'size' not allowed"),
    ("nats.jetstream", {}, "nats:\n- at '': additional properties 'jetstream' not allowed"),
    ("postgres.servers", 3, "postgres:\n- at '': additional properties 'servers' not allowed"),
    ("common.anything", 1, "iot-system:\n- at '/common': additional properties 'anything' not allowed"),
    ("api.replicas", "two", "api:\n- at '/replicas': got string, want integer"),
    ("api.replicas", 0, "api:\n- at '/replicas': minimum: got 0, want 1"),
    (
        "api.service.type",
        "ExternalName",
        "at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
    ),
    ("api.resources.limits.memory", "512M", "at '/resources/limits/memory': '512M' does not match pattern"),
    ("api.resources.limits", None, "at '/resources/limits': got null, want object"),
    ("actor-system.ray.mode", "both", "at '/ray/mode': value must be one of 'separate', 'embedded', 'kuberay'"),
    ("actor-system.shardsPerNode", 65, "at '/shardsPerNode': maximum: got 65, want 64"),
    ("actor-system.handlerTimeoutS", 11, "at '/handlerTimeoutS': maximum: got 11, want 10"),
    ("actor-system.passivateAfterS", 0, "at '/passivateAfterS': minimum: got 0, want 1"),
    ("actor-system.historyRetentionDays", 1.5, "at '/historyRetentionDays': got number, want integer"),
    ("actor-system.behaviours", {"a/b.py": ""}, "at '/behaviours': additional properties 'a/b.py' not allowed"),
    ("api.jwt.jwks", "ftp://id.example.org", "at '/jwt/jwks': 'ftp://id.example.org' does not match pattern"),
    ("nats.replicas", 2, "nats:\n- at '/replicas': value must be one of 1, 3, 5"),
    ("nats.storage", "", "nats:\n- at '/storage': '' does not match pattern"),
    ("nats.syncInterval", "never", "nats:\n- at '/syncInterval': 'never' does not match pattern"),
    (
        "postgres.restore.target",
        "2026-11-26 10:00",
        "postgres:\n- at '/restore/target': '2026-11-26 10:00' does not match",
    ),
    ("postgres.backup.schedule.full", "daily", "postgres:\n- at '/backup/schedule/full': 'daily' does not match"),
    ("postgres.backup.retention.full", 0, "postgres:\n- at '/backup/retention/full': minimum: got 0, want 1"),
    ("postgres.storage", "20", "postgres:\n- at '/storage': '20' does not match pattern"),
    (
        "global.database.mode",
        "several",
        "at '/global/database/mode': value must be one of 'single', 'replicated', 'external', 'memory'",
    ),
    ("global.partitions", 4097, "at '/global/partitions': maximum: got 4,097, want 4,096"),
    ("global.logLevel", "verbose", "at '/global/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
    ("global.image.pullPolicy", "Sometimes", "at '/global/image/pullPolicy': value must be one of"),
    ("global.stream.replicas", 4, "at '/global/stream/replicas': value must be one of 1, 3, 5"),
    (
        "networkPolicy.rest",
        [{"namespace": "ingress"}],
        "at '/networkPolicy/rest/0': additional properties 'namespace' not",
    ),
    ("networkPolicy.mqtt", [{}], "at '/networkPolicy/mqtt/0': minProperties: got 0, want 1"),
    (
        "networkPolicy.mqtt",
        [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}],
        "at '/networkPolicy/mqtt/0': maxProperties: got 2, want 1",
    ),
    (
        "networkPolicy.mqtt",
        [{"ipBlock": {"cidr": "10.0.0.1"}}],
        "at '/networkPolicy/mqtt/0/ipBlock/cidr': '10.0.0.1' does not match pattern",
    ),
    (
        "networkPolicy.metrics",
        [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}],
        "at '/networkPolicy/metrics/0/podSelector/matchExpressions/0/operator': value must be one of 'In', 'NotIn',",
    ),
    ("networkPolicy.dns", [], "at '/networkPolicy/dns': minItems: got 0, want 1"),
    ("networkPolicy.kubernetesApi.ports", [0], "at '/networkPolicy/kubernetesApi/ports/0': minimum: got 0, want 1"),
    (
        "networkPolicy.externalDatabase.ports",
        ["5432"],
        "at '/networkPolicy/externalDatabase/ports/0': got string, want",
    ),
    ("global.commonLabels", {"team": "a b"}, "at '/global/commonLabels/team': 'a b' does not match pattern"),
    (
        "global.commonAnnotations",
        {"cost-centre": 7},
        "at '/global/commonAnnotations/cost-centre': got number, want string",
    ),
    ("global.commonLabels", {"a b": "team"}, "at '/global/commonLabels': additional properties 'a b' not allowed"),
    ("api.service.annotations", {"a/b/c": ""}, "at '/service/annotations': additional properties 'a/b/c' not allowed"),
    ("global.image.registry", "my registry", "at '/global/image/registry': 'my registry' does not match pattern"),
    ("global.image.pullSecrets", ["A"], "at '/global/image/pullSecrets/0': 'A' does not match pattern"),
    ("global.storageClass", "Fast", "at '/global/storageClass': 'Fast' does not match pattern"),
    ("global.nats.urls", ["tls://a#b:4222"], "at '/global/nats/urls/0': 'tls://a#b:4222' does not match pattern"),
    ("api.ingress.className", "A", "at '/ingress/className': 'A' does not match pattern"),
    ("api.jwt.jwks", "https://id.example.org/%zz", "at '/jwt/jwks': 'https://id.example.org/%zz' does not match"),
    ("api.mqttLoadBalancer.sourceRanges", ["10.0.0.0/33"], "at '/mqttLoadBalancer/sourceRanges/0': '10.0.0.0/33' does"),
    ("nats.storage", "999999Ti", "nats:\n- at '/storage': '999999Ti' does not match pattern"),
    (
        "networkPolicy.rest",
        [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In"}]}}],
        "at '/networkPolicy/rest/0/podSelector/matchExpressions/0': missing property 'values'",
    ),
    ("global.image.digests.api", "sha256:1", "at '/global/image/digests/api': 'sha256:1' does not match pattern"),
    ("global.image.digests.ray", "", "at '/global/image/digests': additional properties 'ray' not allowed"),
    ("global.spread.zones", "always", "at '/global/spread/zones': value must be one of 'preferred', 'required'"),
    ("api.autoscaling.scaleDownAfterS", 3601, "at '/autoscaling/scaleDownAfterS': maximum: got 3,601, want 3,600"),
    (
        "actor-system.autoscaling.backlog.source",
        "nats",
        "at '/autoscaling/backlog/source': value must be one of 'none', ",
    ),
    ("actor-system.autoscaling.backlog.prometheusUrl", "prometheus", "at '/autoscaling/backlog/prometheusUrl': 'prom"),
    ("api.ingress.host", "https://iot", "at '/ingress/host': 'https://iot' does not match pattern"),
    ("api.ingress.tls", [], "api:\n- at '/ingress': additional properties 'tls' not allowed"),
    ("api.httpRoute.gateway.sectionName", "x", "at '/httpRoute/gateway': additional properties 'sectionName' not"),
    (
        "api.mqttLoadBalancer.sourceRanges",
        ["all"],
        "at '/mqttLoadBalancer/sourceRanges/0': 'all' does not match pattern",
    ),
    ("nats.priorityClassName", 1, "at '/priorityClassName': got number, want string"),
    ("postgres.resources.limits.storage", "1Gi", "at '/resources/limits': additional properties 'storage' not allowed"),
    (
        "global.tls.mode",
        "on",
        "at '/global/tls/mode': value must be one of 'generated', 'certManager', 'existing', 'off', false",
    ),
    ("global.tls.generated.schedule", "daily", "at '/global/tls/generated/schedule': 'daily' does not match pattern"),
    ("global.tls.existing.api", "A b", "at '/global/tls/existing/api': 'A b' does not match pattern"),
    ("global.tls.existing.broker", "a", "at '/global/tls/existing': additional properties 'broker' not allowed"),
    ("global.tls.certManager.issuer.kind", "", "at '/global/tls/certManager/issuer/kind': minLength: got 0, want 1"),
    ("api.hostNames", ["https://iot"], "at '/hostNames/0': 'https://iot' does not match pattern"),
    ("api.hostNames", [""], "at '/hostNames/0': minLength: got 0, want 1"),
    ("sample.enabled", "yes", "at '/sample/enabled': got string, want boolean"),
]


@pytest.mark.parametrize(("path", "value", "complaint"), REFUSED, ids=lambda part: str(part)[:40])
def test_a_wrong_value_is_refused_and_the_message_names_it(path: str, value: object, complaint: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm.render(sets={path: value})
    assert complaint in str(refused.value)
    assert str(refused.value).count("\n- at ") == 1


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that describes an object with known keys; conditions add to what is described already."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for key, value in schema.items():
            if key not in ("if", "then", "else"):
                yield from objects(value)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.parent.name)
def test_every_known_object_refuses_unknown_keys(path: Path) -> None:
    for one in objects(json.loads(path.read_text())):
        assert one.get("additionalProperties") is False, one


@pytest.mark.parametrize("chart", sorted(path.name for path in (CHART / "charts").iterdir() if path.name != "common"))
def test_every_subchart_has_a_strict_schema(chart: str) -> None:
    assert json.loads((CHART / "charts" / chart / "values.schema.json").read_text())["additionalProperties"] is False


def test_definitions_of_the_same_name_are_the_same_in_all_schemas() -> None:
    seen: dict[str, str] = {}
    for path in SCHEMAS:
        for name, definition in json.loads(path.read_text()).get("definitions", {}).items():
            assert seen.setdefault(name, json.dumps(definition)) == json.dumps(definition), (path, name)
