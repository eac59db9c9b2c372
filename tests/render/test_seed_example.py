"""The Deployment that users were shown first: every field of it holds with default names."""

from __future__ import annotations

from pathlib import Path

import pytest
from chart_harness.rendering import Manifest

from tests.render.rendered import PRODUCTION, TESTING, Installation


@pytest.fixture(params=[TESTING, PRODUCTION], ids=lambda path: path.stem, scope="module")
def deployment(request: pytest.FixtureRequest) -> Manifest:
    values: Path = request.param
    return Installation(values.stem, (values,)).one("Deployment", "actor-system")


@pytest.fixture
def container(deployment: Manifest) -> Manifest:
    containers: list[Manifest] = deployment["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    return containers[0]


@pytest.fixture
def env(container: Manifest) -> dict[str, Manifest]:
    return {variable["name"]: variable for variable in container["env"]}


def test_three_replicas(deployment: Manifest) -> None:
    assert deployment["spec"]["replicas"] == 3


def test_image_repository(container: Manifest) -> None:
    assert container["image"].rsplit(":", 1)[0] == "iot-system/actor-system"


def test_container_port(container: Manifest) -> None:
    assert [port["containerPort"] for port in container["ports"]] == [8000]


def test_address_is_the_pods_ip(env: dict[str, Manifest]) -> None:
    assert env["ACTOR_SYSTEM_ADDRESS"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_port_setting(env: dict[str, Manifest]) -> None:
    assert env["ACTOR_SYSTEM_PORT"]["value"] == "8000"


def test_cluster_name(env: dict[str, Manifest]) -> None:
    assert env["ACTOR_SYSTEM_CLUSTER_NAME"]["value"] == "iot-cluster"


def test_nats_url(env: dict[str, Manifest]) -> None:
    """The same place, by TLS; `nats://` where `global.tls.mode` is off."""
    assert env["NATS_URL"]["value"] == "tls://nats-service:4222"


def test_database_url_from_the_secret(env: dict[str, Manifest]) -> None:
    assert env["DATABASE_URL"]["valueFrom"] == {"secretKeyRef": {"name": "database-credentials", "key": "url"}}


def test_resources() -> None:
    """Of the defaults and of testing; production has those of the design's table."""
    for values in ((), (TESTING,)):
        deployment = Installation("sized", values).one("Deployment", "actor-system")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == {
            "requests": {"cpu": "500m", "memory": "512Mi"},
            "limits": {"cpu": "2000m", "memory": "2Gi"},
        }


@pytest.mark.parametrize(
    ("probe", "path", "delay_s", "period_s"),
    [("livenessProbe", "/health", 30, 10), ("readinessProbe", "/ready", 5, 5)],
)
def test_probes(container: Manifest, probe: str, path: str, delay_s: int, period_s: int) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = container[probe]["httpGet"]
    assert asked["path"] == path
    assert ports.get(asked["port"], asked["port"]) == 8000
    assert container[probe]["initialDelaySeconds"] == delay_s
    assert container[probe]["periodSeconds"] == period_s
