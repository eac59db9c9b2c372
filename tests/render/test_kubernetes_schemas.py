"""Three Kubernetes releases accept every field of every object (kubeconform, strict)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ci import schemas, tools
from tests.harness import helm
from tests.render.rendered import INSTALLATIONS, TESTING, Installation


@pytest.fixture(scope="module")
def location() -> str:
    return schemas.location()


def kubeconform(
    manifests: str, version: str, location: str, files: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """What it says of manifests, or else of files with them."""
    options = ("-strict", "-summary", "-kubernetes-version", version, "-schema-location", location)
    command: list[str | Path] = [tools.path("kubeconform"), *options, *files]
    return subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What each installation renders, in a file of its name: kubeconform reads its schemas once for all of them."""
    folder = tmp_path_factory.mktemp("rendered")
    for one in INSTALLATIONS:
        (folder / f"{one}.yaml").write_text(helm.render_text(*one.values, sets=one.sets))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_object_of_every_installation_is_valid(version: str, location: str, files: list[Path]) -> None:
    run = kubeconform("", version, location, files)
    assert run.returncode == 0, run.stdout
    objects = sum(len(one.manifests) for one in INSTALLATIONS)
    assert f"{objects} resources found in {len(INSTALLATIONS)} files" in run.stdout
    assert "Skipped: 0" in run.stdout


def test_names_that_look_like_numbers_or_booleans_stay_text(location: str) -> None:
    sets = {
        "actor-system.clusterName": "123",
        "api.service.annotations": {"example.org/owner": "123"},
        "api.ingress": {
            "host": "1.2",
            "className": "123",
            "tlsSecret": "123",
            "annotations": {"example.org/a": "true"},
        },
        "api.httpRoute": {"host": "1.2", "gateway": {"name": "123", "namespace": "123", "listener": "123"}},
        "api.mqttLoadBalancer": {
            "sourceRanges": ["0.0.0.0/0"],
            "className": "123",
            "annotations": {"example.org/a": "1"},
        },
        "api.priorityClassName": "123",
        "global.commonAnnotations": {"example.org/b": "123"},
        "global.commonLabels": {"example.org/c": "123"},
        "global.api.existingSecret": "1e3",
        "global.database.existingSecret": "123",
        "global.image": {
            "registry": "123",
            "tag": "123",
            "digests": {},
            "pullPolicy": "Always",
            "pullSecrets": ["123", "true"],
        },
        "global.nats.existingSecret": "true",
        "networkPolicy.rest": [{"podSelector": {"matchLabels": {"app": "123"}}}],
        "global.ray.existingSecret": "null",
        "global.storageClass": "123",
    }
    run = kubeconform(helm.render_text(TESTING, sets=sets, release="123"), helm.KUBERNETES, location)
    assert run.returncode == 0, run.stdout
    installation = Installation("numbers", (TESTING,), sets)
    assert installation.container("actor-system").env["ACTOR_SYSTEM_CLUSTER_NAME"]["value"] == "123"


def test_a_namespace_that_looks_like_a_number_stays_text(location: str) -> None:
    manifests = helm.template("--values", str(TESTING), "--namespace", "123")
    assert 'namespace: "123"' in manifests
    run = kubeconform(manifests, helm.KUBERNETES, location)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("version", schemas.VERSIONS)
@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("kind: Service\nspec: {prots: []}", "additional properties 'prots' not allowed"),
        ("kind: Service\nspec: {ports: [{port: http}]}", "got string, want integer"),
        ("kind: Pod\nspec: {containers: [{image: x}]}", "missing property 'name'"),
    ],
)
def test_a_broken_object_is_found(version: str, broken: str, complaint: str, location: str) -> None:
    run = kubeconform(f"apiVersion: v1\nmetadata: {{name: x}}\n{broken}\n", version, location)
    assert run.returncode == 1
    assert complaint in run.stdout


def test_a_broken_route_of_a_gateway_is_found(location: str) -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: x}\n"
    run = kubeconform(f"{head}spec: {{rules: [{{backend: 1}}]}}\n", helm.KUBERNETES, location)
    assert run.returncode == 1
    assert "additional properties 'backend' not allowed" in run.stdout
