"""Installing again: what must be replaced is, what runs old images is restarted, and nothing else is touched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import __main__, cluster, images, install, lock, rollout, tools
from ci.cluster import Cluster
from ci.progress import note

KUBECTL = """\
#!/bin/sh
[ "$1" = version ] && echo {version} && exit
shift 2
echo "kubectl $*" >> {folder}/log
case "$*" in
  *"get namespace"*) cat {folder}/namespace ;;
  *"get deployments"*) cat {folder}/workloads ;;
  *"apply --filename -"*) cat > {folder}/namespace ;;
esac
"""
HELM = """\
#!/bin/sh
[ "$1" = version ] && echo {version} && exit
echo "helm $*" >> {folder}/log
case "$*" in
  "get notes iot --namespace iot") echo 'port-forward service/api-service 8000 8883' ;;
esac
"""


class Machine:
    """A PATH with a kubectl and a helm that note what they are told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = Cluster("iot", folder / "kubeconfig", "podman", "local")
        for name, script in (("kubectl", KUBECTL), ("helm", HELM), ("kind", HELM)):
            program = folder / name
            program.write_text(script.format(version=f"v{lock.tool(name).version}", folder=folder))
            program.chmod(0o755)
        (folder / "namespace").write_text("")
        self.has()

    def has(self, *workloads: dict[str, Any]) -> None:
        (self.folder / "workloads").write_text(json.dumps({"items": workloads}))

    def install(self, values: str) -> list[str]:
        """What was called."""
        (self.folder / "log").write_text("")
        install.install(self.cluster, Path(values))
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tools.path.cache_clear()
    yield Machine(tmp_path)
    tools.path.cache_clear()


def deployment(image: str, started_with: str | None = None) -> dict[str, Any]:
    annotations = {rollout.ANNOTATION: started_with} if started_with else {}
    metadata = {"name": "api", "annotations": annotations}
    template = {"spec": {"containers": [{"image": image}]}}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


def noted(calls: list[str]) -> str:
    """The stamp that was noted on the deployment."""
    [call] = [call for call in calls if "annotate" in call]
    assert "deployment/api" in call
    return call.rpartition("=")[2]


def test_the_same_values_upgrade_what_is_there(machine: Machine) -> None:
    machine.install("values/testing.yaml")
    calls = machine.install("elsewhere/testing.yaml")
    assert not any("delete" in call for call in calls)
    assert any(call.startswith("helm upgrade --install iot") for call in calls)


def test_the_next_commands_are_those_of_what_was_installed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("values/testing.yaml")
    assert capsys.readouterr().out.endswith("port-forward service/api-service 8000 8883\n")


@pytest.mark.parametrize("noted_values", ["development.yaml", None])
def test_other_values_replace_what_is_there_before_the_installation(noted_values: str | None, machine: Machine) -> None:
    annotations = {install.VALUES: noted_values} if noted_values else {}
    (machine.folder / "namespace").write_text(json.dumps({"metadata": {"annotations": annotations}}))
    calls = machine.install("values/testing.yaml")
    removal = next(number for number, call in enumerate(calls) if "delete namespace iot --wait" in call)
    assert removal < next(number for number, call in enumerate(calls) if call.startswith("helm upgrade"))


def test_what_was_started_with_other_images_is_restarted_before_helm_waits_for_it(machine: Machine) -> None:
    machine.has(deployment(f"iot-system/api:{images.version()}", "0123456789abcdef"))
    calls = machine.install("values/testing.yaml")
    restart = next(number for number, call in enumerate(calls) if call.endswith("rollout restart deployment/api"))
    assert restart < next(number for number, call in enumerate(calls) if call.startswith("helm upgrade"))


def test_what_runs_todays_images_is_left_alone(machine: Machine) -> None:
    machine.has(deployment(f"iot-system/api:{images.version()}"))
    machine.has(deployment(f"iot-system/api:{images.version()}", noted(machine.install("values/testing.yaml"))))
    assert not any("restart" in call for call in machine.install("values/testing.yaml"))


def test_each_image_has_a_note_of_its_own(machine: Machine) -> None:
    machine.has(deployment(f"iot-system/api:{images.version()}"))
    api = noted(machine.install("values/testing.yaml"))
    machine.has(deployment(f"iot-system/nats:{images.version()}"))
    assert noted(machine.install("values/testing.yaml")) != api


def test_a_shell_can_evaluate_the_settings_whatever_the_folders_are_called(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IOT_CACHE", str(machine.folder / "it's a $HOME; cache"))
    __main__.main(["cluster", "env"])
    settings = capsys.readouterr().out
    shell = ["sh", "-c", f'{settings}\necho "$KUBECONFIG"; command -v kubectl']
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(cluster.kubeconfig()), str(machine.folder / "kubectl")]


def test_progress_is_not_among_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def settings() -> str:
        note("a tool is built first")
        return "export PATH=/tools"

    monkeypatch.setattr(install, "shell_settings", settings)
    __main__.main(["cluster", "env"])
    printed = capsys.readouterr()
    assert printed.out == "export PATH=/tools\n"
    assert "a tool is built first" in printed.err
