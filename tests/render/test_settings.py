"""What the chart puts into the environment is what the runtime understands."""

from __future__ import annotations

import msgspec
import pytest
from chart_harness.manifests import Container
from iot_system.settings import (
    ActorSystemSettings,
    ApiSettings,
    MakeStreamsSettings,
    MigrateSettings,
    RayHeadSettings,
    StreamSettings,
    read_settings,
)

from tests.render.rendered import BEHAVIOURS, DEVELOPMENT, TESTING, Installation

SERVICES: dict[str, type[msgspec.Struct]] = {
    "api": ApiSettings,
    "actor-system": ActorSystemSettings,
    "ray-head": RayHeadSettings,
}


def environment(installation: Installation, container: Container) -> dict[str, str]:
    """The variables that Kubernetes would set, with a word in place of each secret and field."""
    found: dict[str, str] = {}
    for source in container.spec.get("envFrom", []):
        found |= installation.one("ConfigMap", source["configMapRef"]["name"])["data"]
    for name, variable in container.env.items():
        found[name] = variable.get("value", "filled-in")
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_accepts_its_settings(installation: Installation, name: str) -> None:
    for container in installation.containers:
        if container.spec["name"] == name:
            read_settings(SERVICES[name], environment(installation, container))


@pytest.mark.parametrize("name", ["migrate", "streams", "secrets", "sample", "check"])
def test_commands_get_no_unknown_variable(installation: Installation, name: str) -> None:
    own: dict[str, type[msgspec.Struct]] = {"migrate": MigrateSettings, "streams": MakeStreamsSettings}
    settings = own.get(name, ApiSettings)  # the others need none that are their own
    for container in installation.containers:
        if container.spec["name"] == name:
            read_settings(settings, environment(installation, container))


def test_values_arrive_as_the_settings_they_are_named_after() -> None:
    sets = {
        "global.partitions": 128,
        "global.drainTimeoutS": 33,
        "global.logLevel": "debug",
        "global.stream": {"replicas": 3, "maxSize": "512Mi", "eventsMaxSize": "64Mi"},
        "actor-system.clusterName": "north",
        "actor-system.shardsPerNode": 2,
        "actor-system.passivateAfterS": 77,
        "actor-system.handlerTimeoutS": 2.5,
        "actor-system.historyRetentionDays": 9,
    }
    installation = Installation("changed", (TESTING,), sets)
    actors = read_settings(ActorSystemSettings, environment(installation, installation.container("actor-system")))
    api = read_settings(ApiSettings, environment(installation, installation.container("api")))
    assert actors.cluster_name == "north"
    assert actors.ray_address == "ray-head:6379"
    assert actors.shards_per_node == 2
    assert actors.shard.passivate_after_s == 77
    assert actors.shard.handler_timeout_s == 2.5
    assert actors.shard.retention_days == 9
    streams = read_settings(MakeStreamsSettings, environment(installation, installation.container("streams")))
    expected = StreamSettings(partitions=128, replicas=3, max_bytes=512 * 2**20, events_max_bytes=64 * 2**20)
    assert streams.stream == actors.shard.stream == expected
    assert api.stream.replicas == 3
    assert actors.shard.stream.partitions == api.stream.partitions == 128
    assert actors.process.drain_timeout_s == api.process.drain_timeout_s == 33
    assert actors.process.log_level == api.process.log_level == "debug"
    assert actors.shard.broker.urls == api.broker.urls == "tls://nats-service:4222"


@pytest.mark.parametrize(
    ("jwks", "read_from"),
    [
        ('{"keys": []}', "/etc/iot-system/jwks/jwks.json"),
        ("https://id.example.org/keys", "https://id.example.org/keys"),
    ],
)
def test_keys_of_an_identity_provider_come_from_where_the_values_say(jwks: str, read_from: str) -> None:
    given = {"issuer": "https://id.example.org", "audience": "1", "jwks": jwks, "roleClaim": "r", "scopeClaim": "s"}
    installation = Installation("changed", (TESTING,), {"api.jwt": given})
    container = installation.container("api")
    jwt = read_settings(ApiSettings, environment(installation, container)).jwt
    assert (jwt.issuer, jwt.audience, jwt.jwks) == ("https://id.example.org", "1", read_from)
    assert (jwt.role_claim, jwt.scope_claim) == ("r", "s")
    mounts = {mount["mountPath"]: mount["name"] for mount in container.spec["volumeMounts"]}
    if read_from.startswith("/"):
        volume = container.workload.volumes[mounts["/etc/iot-system/jwks"]]
        assert installation.one("ConfigMap", volume["configMap"]["name"])["data"] == {"jwks.json": jwks}
    else:
        assert "/etc/iot-system/jwks" not in mounts


def test_without_an_identity_provider_there_is_none() -> None:
    installation = Installation("testing", (TESTING,))
    assert read_settings(ApiSettings, environment(installation, installation.container("api"))).jwt.issuer is None


def test_behaviours_lie_where_python_finds_them_as_they_were_given() -> None:
    installation = Installation("behaviours", (TESTING,), BEHAVIOURS)
    container = installation.container("actor-system")
    mounts = {mount["mountPath"]: mount["name"] for mount in container.spec["volumeMounts"]}
    folder, in_images = container.env["PYTHONPATH"]["value"].split(":")
    files = installation.one("ConfigMap", container.workload.volumes[mounts[folder]]["configMap"]["name"])
    assert files["data"] == BEHAVIOURS["actor-system.behaviours"]
    assert in_images == "/behaviours"


def test_ray_runs_inside_the_single_pod_of_a_development_installation() -> None:
    installation = Installation("development", (DEVELOPMENT,))
    settings = read_settings(ActorSystemSettings, environment(installation, installation.container("actor-system")))
    assert settings.ray_address is None
    assert settings.shard.database_url == "sqlite:///:memory:"
    assert {workload.name for workload in installation.services} == {"api", "actor-system", "nats"}


def test_every_ray_node_demands_the_token(installation: Installation) -> None:
    for container in installation.containers:
        if container.spec["name"] in ("actor-system", "ray-head"):
            assert container.env["RAY_AUTH_MODE"]["value"] == "token", container
            assert container.env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["key"] == "token", container
