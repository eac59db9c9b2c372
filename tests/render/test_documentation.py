"""What users read after an installation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.harness import helm
from tests.render.rendered import DEVELOPMENT, PRODUCTION, TESTING, Installation


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes as one more manifest: `helm template` does not print notes."""
    copy = tmp_path_factory.mktemp("chart") / "iot-system"
    shutil.copytree(helm.CHART, copy)
    (copy / "templates" / "NOTES.txt").rename(copy / "NOTES.txt")
    (copy / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}\n')
    return copy


def notes(chart: Path, values: Path, *sets: str) -> str:
    """What Helm prints after an installation."""
    single = [argument for one in sets for argument in ("--set", one)]
    text = helm.template("--values", str(values), *single, "--show-only", "templates/notes.yaml", chart=chart)
    return str(yaml.safe_load(text)["notes"])


def test_the_notes_tell_the_next_three_commands_with_the_names_of_this_release(chart: Path) -> None:
    text = notes(chart, TESTING)
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]
    assert "kubectl -n iot rollout status deployment/actor-system" in text
    assert "helm -n iot test iot" in text
    assert "kubectl -n iot port-forward service/api-service 8000 8883" in text
    assert "get secret api-tls" in text
    assert re.search(r"curl --cacert iot-ca.crt .* https://127\.0\.0\.1:8000/v1/devices", text)
    assert "get secret api-credentials" in text
    assert "in memory" not in text
    assert "networkPolicy.rest" in text


def test_the_notes_of_an_installation_with_kuberay_wait_for_its_pods(chart: Path) -> None:
    text = notes(chart, TESTING, "actor-system.ray.mode=kuberay")
    assert "kubectl -n iot wait raycluster/actor-system --for=condition=RayClusterProvisioned" in text
    assert "deployment/actor-system" not in text


def test_the_notes_warn_where_nothing_is_kept(chart: Path) -> None:
    assert "The database lives in memory" in notes(chart, DEVELOPMENT)
    assert "networkPolicy" not in notes(chart, DEVELOPMENT)


def test_the_notes_of_an_installation_without_tls_speak_of_none(chart: Path) -> None:
    text = notes(chart, DEVELOPMENT)
    assert "port-forward service/api-service 8000 1883" in text
    assert " http://127.0.0.1:8000/v1/devices" in text
    assert "ca.crt" not in text


def test_the_values_that_the_readme_shows_are_accepted_and_open_these_ways_only(tmp_path: Path) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", (helm.CHART / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    values = tmp_path / "values.yaml"
    values.write_text(example)
    installation = Installation("example", (PRODUCTION, values))
    assert installation.one("Ingress", "api")["spec"]["rules"][0]["host"] == "iot.example.org"
    assert installation.one("Service", "mqtt-service")["spec"]["loadBalancerSourceRanges"] == ["198.51.100.0/24"]
    assert all(one.spec["image"].startswith("registry.example.org/team/") for one in installation.containers)
