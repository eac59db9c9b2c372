"""A rendered installation, as the render tests look at it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chart_harness.manifests import Objects, Workload
from chart_harness.rendering import Manifest

from tests.harness import helm
from tests.harness.helm import values_file

DEVELOPMENT, TESTING, PRODUCTION = (values_file(name) for name in ("development", "testing", "production"))
EXTERNAL = values_file("examples/external")
"""On top of production."""
HOOK = "helm.sh/hook"


def ray_groups(cluster: Manifest) -> Iterator[Workload]:
    """The head and the workers of a RayCluster, in the form of a Deployment: selected as Services and budgets do."""
    head, [workers] = cluster["spec"]["headGroupSpec"], cluster["spec"]["workerGroupSpecs"]
    for group in (head | {"replicas": 1}, workers):
        labels = group["template"]["metadata"]["labels"]
        selecting = {key: labels[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance")}
        spec = {"replicas": group["replicas"], "selector": {"matchLabels": selecting}, "template": group["template"]}
        metadata = {"name": labels["app.kubernetes.io/name"]}
        yield Workload({"kind": cluster["kind"], "metadata": metadata, "spec": spec})


@dataclass(frozen=True)
class Installation(Objects):
    """One set of values and everything that the chart makes of it."""

    name: str
    values: tuple[Path, ...] = ()
    sets: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def manifests(self) -> list[Manifest]:
        return helm.render(*self.values, sets=self.sets)

    @property
    def workloads(self) -> list[Workload]:
        return [*super().workloads, *(group for one in self.of_kind("RayCluster") for group in ray_groups(one))]

    @property
    def nats_servers(self) -> list[str]:
        """Where several NATS servers find each other."""
        script = self.container("nats").spec["command"][2]
        found = re.search(r"for server in (.*); do", script)
        return found[1].split() if found else []

    @property
    def made_secrets(self) -> dict[str, dict[str, Any]]:
        """What the secrets job is told to make: keys by secret."""
        jobs = [one for one in self.containers if "IOT_SECRETS" in one.env]
        return json.loads(jobs[0].env["IOT_SECRETS"]["value"]) if jobs else {}

    @property
    def made_certificates(self) -> dict[str, Any]:
        """What it is told of certificates; nothing where it makes none."""
        jobs = [one for one in self.containers if "IOT_CERTIFICATES" in one.env]
        return json.loads(jobs[0].env["IOT_CERTIFICATES"]["value"]) if jobs else {}

    def __str__(self) -> str:
        return self.name


IDENTITY_PROVIDER = {
    "api.jwt": {"issuer": "https://id.example.org", "audience": "iot-system", "jwks": '{"keys": []}'},
}
BEHAVIOURS = {"actor-system.behaviours": {"alarm.py": 'class Alarm:\n    """A: {{ b }}"""\n'}}
GIVEN_SECRETS = {
    "global.database.existingSecret": "my-database",
    "global.api.existingSecret": "my-api",
    "global.nats.existingSecret": "my-nats",
    "global.natsApi.existingSecret": "my-nats-api",
    "global.natsActorSystem.existingSecret": "my-nats-actors",
    "global.ray.existingSecret": "my-ray",
    "global.tls": {
        "mode": "existing",
        "existing": {part: f"my-{part}-tls" for part in ("api", "actor-system", "nats", "postgres", "ray")},
    },
}
"""Every secret given by the user."""

CERT_MANAGER = {"global.tls.mode": "certManager"}
ISSUER = {
    **CERT_MANAGER,
    "global.tls.certManager.issuer": {"name": "ours", "kind": "ClusterIssuer", "group": "certs.example.org"},
}

DEVICE_CERTIFICATES = {
    "api.mqtt.plain": True,
    "api.clientCertificates": {"mode": "required", "existingCaSecret": "device-ca", "revoked": ["0A:FF", "1b"]},
}
"""Devices that show certificates, and old ones that cannot."""

EXPOSED = {
    "api.ingress": {"host": "iot.example.org", "className": "nginx", "tlsSecret": "iot-tls", "annotations": {"a": "1"}},
    "api.httpRoute": {
        "host": "iot.example.org",
        "gateway": {"name": "public", "namespace": "gateways", "listener": "https"},
    },
    "api.mqttLoadBalancer": {"sourceRanges": ["198.51.100.0/24"], "className": "lb", "annotations": {"b": "2"}},
    "networkPolicy.rest": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
}
"""Every way in."""

BY_VOLUME = {"global.database.mode": "single", "postgres.backup.enabled": True}
RESTORED = BY_VOLUME | {
    "postgres.restore.enabled": True,
    "postgres.backup.repository.volume.existingClaim": "backup-repository",
}
"""The one server beside its backups."""

KUBERAY = {"actor-system.ray.mode": "kuberay"}
"""An operator keeps the pods of Ray."""

STORE = {
    "postgres.backup.enabled": True,
    "postgres.backup.repository.type": "s3",
    "postgres.backup.repository.s3.endpoint": "s3.example.org:9000",
    "postgres.backup.repository.s3.bucket": "backups",
    "postgres.backup.repository.s3.existingSecret": "backup-store",
    "postgres.backup.repository.s3.caSecret": "backup-store-ca",
}
"""Backups go to a store that speaks S3."""
BACKLOG = "actor-system.autoscaling.backlog"
METRICS_API = {f"{BACKLOG}.source": "metricsApi", f"{BACKLOG}.framesPerPod": 1000000}
KEDA = {f"{BACKLOG}.source": "keda", f"{BACKLOG}.prometheusUrl": "http://prometheus.monitoring:9090"}
"""More pods when frames wait, by one of two ways to know."""

INSTALLATIONS = (
    Installation("defaults"),
    Installation("development", (DEVELOPMENT,)),
    Installation("testing", (TESTING,)),
    Installation("production", (PRODUCTION,)),
    Installation("prefixed", (TESTING,), {"global.namePrefix": "site-a-"}),
    Installation("given-secrets", (TESTING,), GIVEN_SECRETS),
    Installation("unencrypted", (PRODUCTION,), {"global.tls.mode": "off"}),
    Installation("cert-manager", (PRODUCTION,), CERT_MANAGER),
    Installation("issuer", (PRODUCTION,), {**ISSUER, "api.hostNames": ["iot.example.org", "198.51.100.7"]}),
    Installation("identity-provider", (TESTING,), IDENTITY_PROVIDER),
    Installation("behaviours", (TESTING,), BEHAVIOURS),
    Installation("exposed", (PRODUCTION,), EXPOSED),
    Installation("device-certificates", (PRODUCTION,), DEVICE_CERTIFICATES),
    Installation("backed-up", (PRODUCTION,), STORE),
    Installation("backed-up-by-volume", (TESTING,), BY_VOLUME),
    Installation("restored", (TESTING,), RESTORED),
    Installation("restored-replicated", (PRODUCTION,), {**STORE, "postgres.restore.enabled": True}),
    Installation(
        "external-database", (PRODUCTION,), {"global.database": {"mode": "external", "existingSecret": "my-database"}}
    ),
    Installation("external", (PRODUCTION, EXTERNAL)),
    Installation("kuberay", (TESTING,), KUBERAY),
    Installation("scaled-by-metrics", (PRODUCTION,), METRICS_API),
    Installation("scaled-by-keda", (PRODUCTION,), KEDA),
)
"""Every values file, and what they leave out."""

WITH_NATS = tuple(one for one in INSTALLATIONS if one.name != "external")
"""Those that have servers of NATS."""

PLAIN = {"development", "unencrypted"}
"""Those without TLS."""
