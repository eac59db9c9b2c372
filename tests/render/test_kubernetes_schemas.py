"""Three Kubernetes releases accept every field of every object (kubeconform, strict)."""

from __future__ import annotations

import subprocess

import pytest

from ci import schemas, tools
from tests.harness import helm
from tests.render.rendered import Installation


@pytest.fixture(scope="module")
def location() -> str:
    return schemas.location()


def kubeconform(manifests: str, version: str, location: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            tools.path("kubeconform"),
            "-strict",
            "-summary",
            "-kubernetes-version",
            version,
            "-schema-location",
            location,
        ],
        input=manifests,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_every_object_is_valid(installation: Installation, version: str, location: str) -> None:
    manifests = helm.render_text(*installation.values, sets=installation.sets)
    run = kubeconform(manifests, version, location)
    assert run.returncode == 0, run.stdout
    assert f"{len(installation.manifests)} resources found" in run.stdout
    assert "Skipped: 0" in run.stdout


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
