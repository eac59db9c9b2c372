"""The plugin `chart_harness` in a cluster: the small chart of tests/data, as its documentation says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from chart_harness.cluster import MARK, Kubernetes
from chart_harness.errors import KubernetesError
from chart_harness.installation import Installation, Installations

from ci import engine, images
from ci.errors import NoClusterError
from tests.harness.alone import NOTES, copy, environment, run_tests
from tests.harness.errors import NotBreakableError
from tests.harness.nodes import breakable

IMAGE = f"docker.io/iot-system/api:{images.version()}"
"""Has Python, and is on the nodes."""
READY_S = 20


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the plugin and nothing else."""
    return environment(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def nodes() -> Mapping[str, str]:
    """What the engine of the nodes wants to be called with, where they are containers of this machine."""
    try:
        return engine.find().env
    except NoClusterError:
        return {}


def options(kubernetes: Kubernetes, folder: Path, image: str) -> list[str]:
    """Of a run in the cluster, with an image that its nodes have, or have not."""
    values = folder / "of-the-cluster.yaml"
    values.write_text(f"image: {image}\ntoken: of-the-cluster-tests\n")
    programs = (f"--kubeconfig={kubernetes.kubeconfig}", f"--kubectl={kubernetes.kubectl_program}")
    return [*programs, "-o", f"chart_values={values.name}"]


def are_containers(kubernetes: Kubernetes) -> bool:
    """Whether the nodes are such of this machine, so that their pods can be frozen."""
    try:
        return bool(breakable(kubernetes))
    except NotBreakableError:
        return False


def left(kubernetes: Kubernetes) -> list[str]:
    """Namespaces of runs with these values."""
    found = [one["metadata"]["name"] for one in kubernetes.read("namespaces", f"--selector={MARK}")["items"]]
    return [name for name in found if name.startswith("release-of-the-cluster-")]


def test_the_small_chart_is_installed_upgraded_broken_and_uninstalled_with_the_plugin_alone(
    python: Path, kubernetes: Kubernetes, tmp_path: Path, nodes: Mapping[str, str], figures: list[str]
) -> None:
    folder = copy(tmp_path)
    given = [*options(kubernetes, folder, IMAGE), f"--previous-chart={NOTES / 'chart'}"]
    code, said = run_tests(python, folder, kubernetes.helm_program, *given, env=nodes)
    assert code == 0, said
    assert ("skipped" in said) is not are_containers(kubernetes), said
    assert left(kubernetes) == []
    [summary] = re.findall(r"^=+ (\d+ passed.*?) =+$", said, re.MULTILINE)
    figures.append(f"the small chart with the plugin alone: {summary}")


def test_a_release_that_never_gets_ready_is_told_by_one_sentence_with_its_diagnostics_and_is_gone(
    python: Path, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    folder = copy(tmp_path)
    given = [*options(kubernetes, folder, "docker.io/iot-system/nowhere:0"), "-o", f"chart_ready_s={READY_S}"]
    code, said = run_tests(python, folder, kubernetes.helm_program, *given, "tests/test_cluster.py", "--maxfail=1")
    assert code == 1
    sentence = f"release is not ready after {READY_S} s: release has 0 of 1 pods ready, 1 in all"
    assert re.search(rf"^{sentence}\nrelease\S*, container \w+: (ErrImage|ImagePull)", said, re.MULTILINE), said
    [diagnostics] = re.findall(rf"^{folder}/diagnostics/\S+$", said, re.MULTILINE)
    [pods] = Path(diagnostics).glob("release-of-the-cluster-*/pods.txt")
    assert "iot-system/nowhere:0" in pods.read_text()
    assert left(kubernetes) == []


def test_values_that_are_refused_while_nothing_is_ready_are_told_by_helm(
    kubernetes: Kubernetes, tmp_path: Path
) -> None:
    values = tmp_path / "of-the-cluster.yaml"
    values.write_text("image: docker.io/iot-system/nowhere:0\ntoken: of-the-cluster-tests\n")
    installations = Installations(Installation, kubernetes, NOTES / "chart")
    try:
        installation = installations.new(values)
        installation.install(wait=False)
        with pytest.raises(KubernetesError, match="tokens"):
            installation.upgrade({"tokens": "x"})
    finally:
        installations.remove_all()
    assert left(kubernetes) == []
