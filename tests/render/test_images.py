"""Images and their tags."""

from __future__ import annotations

import re

import iot_system
import yaml

from tests.harness.helm import CHART
from tests.render.rendered import TESTING, Installation

REPOSITORIES = {"iot-system/api", "iot-system/actor-system", "iot-system/nats", "iot-system/postgres"}


def test_every_image_is_the_projects_own_in_this_version(installation: Installation) -> None:
    for container in installation.containers:
        repository, tag = container.spec["image"].split(":")
        assert repository in REPOSITORIES, container
        assert tag == iot_system.__version__, container
        assert container.spec["imagePullPolicy"] == "IfNotPresent", container


def test_each_component_runs_its_own_image() -> None:
    testing = Installation("testing", (TESTING,))
    used = {workload.name: workload.containers[0].spec["image"].split(":")[0] for workload in testing.services}
    assert used == {
        "api": "iot-system/api",
        "actor-system": "iot-system/actor-system",
        "ray-head": "iot-system/actor-system",
        "nats": "iot-system/nats",
        "postgres": "iot-system/postgres",
    }


def test_all_charts_bear_the_version_of_the_runtime() -> None:
    for path in CHART.rglob("Chart.yaml"):
        chart = yaml.safe_load(path.read_text())
        assert chart["appVersion"] == iot_system.__version__, path.parent.name


def test_registry_tag_policy_and_pull_secrets_reach_every_pod() -> None:
    image = {
        "registry": "registry.example.org:5000/team",
        "tag": "1.2.3",
        "pullPolicy": "Always",
        "pullSecrets": ["door"],
    }
    installation = Installation("own-registry", (TESTING,), {"global.image": image})
    for container in installation.containers:
        assert container.spec["image"].startswith("registry.example.org:5000/team/iot-system/"), container
        assert container.spec["image"].endswith(":1.2.3"), container
        assert container.spec["imagePullPolicy"] == "Always", container
        assert container.workload.pod["imagePullSecrets"] == [{"name": "door"}], container


def test_a_digest_stands_beside_the_tag_of_its_own_image_only() -> None:
    digests = {name: f"sha256:{number:064x}" for number, name in enumerate(("api", "actor-system", "nats", "postgres"))}
    installation = Installation("pinned", (TESTING,), {"global.image.digests": digests})
    for container in installation.containers:
        repository, tag, digest = re.fullmatch(r"iot-system/(\S+?):(\S+)@(\S+)", container.spec["image"]).groups()  # type: ignore[union-attr]
        assert (tag, digest) == (iot_system.__version__, digests[repository]), container
    one = Installation("one", (TESTING,), {"global.image.digests.nats": digests["nats"]})
    assert {container.spec["name"] for container in one.containers if "@" in container.spec["image"]} == {"nats"}


def test_a_container_starts_the_command_of_its_name() -> None:
    installation = Installation("testing", (TESTING,))
    for name in ("api", "actor-system", "ray-head", "migrate", "streams", "secrets", "replay", "check"):
        assert any(container.spec["args"][0] == name for container in installation.containers), name
