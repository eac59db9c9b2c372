"""Mistakes that lie between values: each gets one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from chart_harness.errors import HelmError

from tests.harness import helm
from tests.harness.helm import CHART
from tests.render.rendered import DEVELOPMENT, KUBERAY, PRODUCTION, RESTORED, STORE, TESTING

EXTERNAL_NATS: dict[str, Any] = {
    "global.nats.mode": "external",
    "global.nats.urls": ["tls://a:4222"],
    "global.natsApi.existingSecret": "mine",
    "global.natsActorSystem.existingSecret": "mine",
}
MISTAKES: list[tuple[Path, dict[str, Any], str]] = [
    (
        TESTING,
        {"global.image.tag": "latest"},
        "global.image.tag is latest, which names no version: give the tag of one build.",
    ),
    (
        TESTING,
        {"global.commonLabels": {"app.kubernetes.io/name": "mine"}},
        "global.commonLabels has app.kubernetes.io/name, which the chart or Helm sets itself: choose another name.",
    ),
    (
        TESTING,
        {"global.commonLabels": {"iot-system/database": "mine"}},
        "global.commonLabels has iot-system/database, which the chart or Helm sets itself: choose another name.",
    ),
    (
        TESTING,
        {"global.tls.generated.schedule": "0 24 * * *"},
        'global.tls.generated.schedule is 0 24 * * *, but "24" is no hour: Kubernetes would refuse it.',
    ),
    (
        PRODUCTION,
        {"postgres.backup.schedule.full": "0 3 * * 0,sunday"},
        'postgres.backup.schedule.full is 0 3 * * 0,sunday, but "sunday" is no day of the week: Kubernetes would '
        "refuse it.",
    ),
    (
        PRODUCTION,
        {"api.ingress.host": "198.51.100.7"},
        "api.ingress.host is 198.51.100.7, but what leads there goes by names, not by addresses: give a host name.",
    ),
    (
        PRODUCTION,
        STORE | {"postgres.backup.repository.s3.endpoint": "s3.example.org:90000"},
        "postgres.backup.repository.s3.endpoint is s3.example.org:90000, but ports are numbers from 1 to 65535.",
    ),
    (
        TESTING,
        {"global.database.mode": "external"},
        "global.database.mode is external, so global.database.existingSecret must name the secret whose key url "
        "leads to that database.",
    ),
    (
        DEVELOPMENT,
        {"global.database.existingSecret": "mine"},
        "global.database.existingSecret is mine, but global.database.mode memory uses no secret: leave one of "
        "them out.",
    ),
    (
        PRODUCTION,
        {"global.database": {"mode": "external", "existingSecret": "mine"}, "postgres.backup.enabled": True},
        "postgres.backup.enabled is true, but global.database.mode is external: this chart backs up its own Postgres "
        "only.",
    ),
    (
        PRODUCTION,
        {"postgres.backup.enabled": True},
        "postgres.backup.repository.volume.existingClaim is empty, but with global.database.mode replicated pods of "
        "several nodes write there: name a claim that they can share (ReadWriteMany), or choose s3.",
    ),
    (
        TESTING,
        {**STORE, "postgres.backup.repository.s3.bucket": ""},
        "postgres.backup.repository.s3.bucket is empty, but postgres.backup.repository.type is s3: give it.",
    ),
    (
        TESTING,
        {"postgres.restore.enabled": True},
        "postgres.restore.enabled is true, but postgres.backup.enabled is false: postgres.backup.repository says where "
        "the backups are.",
    ),
    (
        TESTING,
        {"global.database.mode": "single", "postgres.backup.enabled": True, "postgres.restore.enabled": True},
        "postgres.backup.repository.volume.existingClaim is empty, but postgres.restore.enabled is true: name the "
        "claim that holds the backups, for a new one is empty.",
    ),
    (
        TESTING,
        EXTERNAL_NATS | RESTORED,
        "postgres.restore.enabled is true, but global.nats.mode is external: what is restored must not meet the "
        "streams of a running installation, so it needs NATS servers of its own: builtin.",
    ),
    (
        TESTING,
        {"postgres.restore.target": "2026-11-26 10:00:00+00"},
        "postgres.restore.target is 2026-11-26 10:00:00+00, but postgres.restore.enabled is false: switch it on, or "
        "leave the target out.",
    ),
    (
        TESTING,
        {"global.database.mode": "memory", "actor-system.autoscaling.maxReplicas": 3},
        "actor-system.autoscaling.maxReplicas is 3, but with global.database.mode memory each pod has a database of "
        "its own: set it to 1 or choose another mode.",
    ),
    (
        DEVELOPMENT,
        {"global.database.mode": "single", "actor-system.replicas": 2, "actor-system.autoscaling.maxReplicas": 1},
        "actor-system.replicas is 2, but with actor-system.ray.mode embedded each pod is a Ray cluster of its own: "
        "set it to 1 or choose separate.",
    ),
    (
        DEVELOPMENT,
        {"actor-system.ray.mode": "separate"},
        "actor-system.ray.mode is separate, but with global.database.mode memory all shards lie in the one "
        "actor-system pod: set it to embedded or choose another database.",
    ),
    (
        PRODUCTION,
        KUBERAY,
        "actor-system.autoscaling.maxReplicas is 12, but with actor-system.ray.mode kuberay there is no autoscaler, "
        "because Kubernetes cannot scale a RayCluster: set it to actor-system.replicas, which is 3.",
    ),
    (
        TESTING,
        {**KUBERAY, "actor-system.autoscaling.backlog.source": "metricsApi"},
        "actor-system.autoscaling.backlog.source is metricsApi, but with actor-system.ray.mode kuberay there is no "
        "autoscaler: choose none.",
    ),
    (
        DEVELOPMENT,
        KUBERAY,
        "actor-system.ray.mode is kuberay, but with global.database.mode memory all shards lie in the one actor-system "
        "pod: set it to embedded or choose another database.",
    ),
    (
        DEVELOPMENT,
        {"actor-system.shardsPerNode": 2},
        "actor-system.shardsPerNode is 2, but with global.database.mode memory each shard has a database of its own: "
        "set it to 1 or choose another mode.",
    ),
    (
        PRODUCTION,
        {"actor-system.autoscaling.backlog.source": "keda"},
        "actor-system.autoscaling.backlog.source is keda, so actor-system.autoscaling.backlog.prometheusUrl must say "
        "which Prometheus knows the backlog.",
    ),
    (
        PRODUCTION,
        {"actor-system.autoscaling.backlog.prometheusUrl": "http://prometheus"},
        "actor-system.autoscaling.backlog.prometheusUrl is given, but actor-system.autoscaling.backlog.source is none: "
        "leave it out, or choose keda.",
    ),
    (
        DEVELOPMENT,
        {"actor-system.autoscaling.backlog.source": "metricsApi"},
        "actor-system.autoscaling.backlog.source is metricsApi, but actor-system.autoscaling.maxReplicas 1 means that "
        "there is no autoscaler: raise it, or choose none.",
    ),
    (
        TESTING,
        {
            "global.tls.mode": "existing",
            "global.tls.existing": {"api": "a", "actor-system": "b", "postgres": "c", "ray": "d"},
        },
        "global.tls.mode is existing, so global.tls.existing.nats must name the secret that holds its certificate.",
    ),
    (
        TESTING,
        {"global.tls.existing.ray": "mine"},
        "global.tls.existing.ray is mine, but global.tls.mode is generated: leave one of them out.",
    ),
    (
        TESTING,
        {"global.tls.certManager.issuer.name": "ours"},
        "global.tls.certManager.issuer.name is ours, but global.tls.mode is generated: leave one of them out.",
    ),
    (
        DEVELOPMENT,
        {"api.hostNames": ["iot.example.org"]},
        "api.hostNames are for the certificate that is made for the API, but global.tls.mode is off: leave them out.",
    ),
    (
        TESTING,
        {"api.autoscaling.maxReplicas": 1},
        "api.autoscaling.maxReplicas is 1, below api.replicas, which is 3.",
    ),
    (
        TESTING,
        {"actor-system.replicas": 4},
        "actor-system.autoscaling.maxReplicas is 3, below actor-system.replicas, which is 4.",
    ),
    (
        TESTING,
        {"api.resources.limits.cpu": "100m"},
        "api.resources.limits.cpu is 100m, below the request, which is 150m.",
    ),
    (
        TESTING,
        {"actor-system.ray.head.resources.limits.memory": "256Mi"},
        "actor-system.ray.head.resources.limits.memory is 256Mi, below the request, which is 512Mi.",
    ),
    (
        PRODUCTION,
        {"nats.resources.limits.cpu": 1.5},
        "nats.resources.limits.cpu is 1.5, below the request, which is 2.",
    ),
    (
        PRODUCTION,
        {"api.ingress.className": "nginx"},
        "api.ingress.className is given, but without api.ingress.host there is no Ingress: give that too, or leave it "
        "out.",
    ),
    (
        PRODUCTION,
        {"api.httpRoute.host": "iot.example.org"},
        "api.httpRoute.host and api.httpRoute.gateway.name belong together: give both, or none.",
    ),
    (
        PRODUCTION,
        {"api.httpRoute.gateway.name": "public"},
        "api.httpRoute.host and api.httpRoute.gateway.name belong together: give both, or none.",
    ),
    (
        PRODUCTION,
        {"api.httpRoute.gateway.listener": "https"},
        "api.httpRoute.gateway.listener is given, but without api.httpRoute.host there is no HTTPRoute: give that too, "
        "or leave it out.",
    ),
    (
        PRODUCTION,
        {"api.mqttLoadBalancer.annotations": {"a": "b"}},
        "api.mqttLoadBalancer.annotations is given, but without api.mqttLoadBalancer.sourceRanges there is no load "
        "balancer: give that too, or leave it out.",
    ),
    (
        PRODUCTION,
        {"api.ingress.host": "iot.example.org"},
        "api.ingress.host is iot.example.org, but network policies let nobody outside reach REST: name in "
        "networkPolicy.rest who leads clients there.",
    ),
    (
        PRODUCTION,
        {"api.service.type": "LoadBalancer"},
        "api.service.type is LoadBalancer, but network policies let nobody outside in: name in networkPolicy.rest and "
        "networkPolicy.mqtt who may use it.",
    ),
    (
        PRODUCTION,
        {"networkPolicy.externalDatabase.to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
        "networkPolicy.externalDatabase.to is given, but global.database.mode is replicated: leave it out.",
    ),
    (
        DEVELOPMENT,
        {"api.mqtt.plain": True},
        "api.mqtt.plain is true, but with global.tls.mode off MQTT is plain in any case: leave it out.",
    ),
    (
        DEVELOPMENT,
        {"api.clientCertificates": {"mode": "optional", "existingCaSecret": "device-ca"}},
        "api.clientCertificates.mode is optional, but with global.tls.mode off nobody can show a certificate: leave "
        "one of them out.",
    ),
    (
        PRODUCTION,
        {"api.clientCertificates.mode": "required"},
        "api.clientCertificates.mode is required, so api.clientCertificates.existingCaSecret must name the secret "
        "whose key ca.crt is the CA of the devices.",
    ),
    (
        PRODUCTION,
        {"api.clientCertificates.revoked": ["0A"]},
        "api.clientCertificates.revoked is given, but with api.clientCertificates.mode off nobody is asked for a "
        "certificate: choose optional or required, or leave it out.",
    ),
    (
        TESTING,
        {"api.clientCertificates": {"mode": "required", "existingCaSecret": "device-ca"}},
        "sample.enabled is true, but api.clientCertificates.mode required lets its job, which has no certificate of "
        "yours, in nowhere: leave one of them out.",
    ),
    (
        TESTING,
        {"global.database.caSecret": "mine"},
        "global.database.caSecret is given, but global.database.mode is replicated: leave it out.",
    ),
    (
        TESTING,
        {"global.nats.mode": "external"},
        "global.nats.mode is external, so global.nats.urls must name the servers.",
    ),
    (
        TESTING,
        {"global.nats.mode": "external", "global.nats.urls": ["nats://a:4222"]},
        "global.nats.mode is external, so global.natsApi.existingSecret must name the secret with that user's "
        "password.",
    ),
    (
        TESTING,
        EXTERNAL_NATS | {"global.nats.urls": ["tls://a:4222", "nats://b:4222"]},
        "global.nats.urls has addresses with tls:// and with nats://: all must be of one kind.",
    ),
    (
        TESTING,
        EXTERNAL_NATS | {"global.nats.urls": ["nats://a:4222"], "global.nats.caSecret": "mine"},
        "global.nats.caSecret is given, but the addresses in global.nats.urls are not encrypted: write tls://, or "
        "leave it out.",
    ),
    (
        TESTING,
        {"global.nats.urls": ["nats://a:4222"]},
        "global.nats.urls is given, but global.nats.mode is builtin: choose external, or leave it out.",
    ),
    (
        TESTING,
        {"networkPolicy.externalNats.to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
        "networkPolicy.externalNats.to is given, but global.nats.mode is builtin: leave it out.",
    ),
    (
        DEVELOPMENT,
        {"networkPolicy.sql": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
        "networkPolicy.sql is given, but global.database.mode is memory, which has no Postgres here: leave it out.",
    ),
    (
        TESTING,
        {"api.jwt.issuer": "https://id.example.org"},
        "api.jwt.issuer, api.jwt.audience and api.jwt.jwks belong together: give all three, or none.",
    ),
    (
        DEVELOPMENT,
        {"global.stream.replicas": 3},
        "global.stream.replicas is 3, but nats.replicas is 1: each copy of the stream needs a server of its own.",
    ),
    (
        TESTING,
        {"nats.storage": "2Gi"},
        "global.stream.maxSize is 1Gi, more than four fifths of nats.storage, which is 2Gi, have room for beside 256Mi "
        "of events and 608Mi for applications' topics and new readings.",
    ),
]


@pytest.mark.parametrize(("values", "sets", "sentence"), MISTAKES, ids=[next(iter(sets)) for _, sets, _ in MISTAKES])
def test_a_mistake_gets_one_clear_sentence(values: Path, sets: dict[str, Any], sentence: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm.render(values, sets=sets)
    message = re.sub(r"^.*?\(iot-system/templates/validate.yaml:\d+:\d+\): ", "", str(refused.value).splitlines()[0])
    assert message == sentence


def test_every_sentence_of_the_chart_has_its_test() -> None:
    assert untested("validate.yaml", [sentence for _, _, sentence in MISTAKES]) == []


def untested(template: str, tested: Iterable[str]) -> list[str]:
    """Sentences of a template that are not among those."""
    found = re.findall(r'fail \(?(?:printf )?"(.*?)" *[$()\w}]', (CHART / "templates" / template).read_text())
    assert len(found) >= 10
    known = [*tested]
    patterns = {text: re.compile(re.sub(r"%[sdvq]", ".+", re.escape(text))) for text in found}
    return [text for text, pattern in patterns.items() if not any(pattern.fullmatch(one) for one in known)]
