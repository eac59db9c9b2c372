"""The lock file: what it says is read, what it must not say is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ci import cluster, go, lock, network, node_image

HEAD = 'go = "1.26.0"\nstock-node-image = "node@sha256:0"\n'


def read(text: str, folder: Path) -> lock.Lock:
    file = folder / "tools.lock"
    file.write_text(HEAD + text)
    return lock.read(file)


def test_the_version_stands_in_the_linker_flags(tmp_path: Path) -> None:
    tools = read(
        '[tools.x]\nversion = "1.2"\nsource = "x"\npackages = ["."]\nldflags = "-X v=v{version}"', tmp_path
    ).tools
    assert tools["x"].ldflags == "-X v=v1.2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[tools.x]\nversion = "1"\npackages = ["."]', "x: needs a source, or a module with its sum"),
        ('[tools.x]\nversion = "1"\npackages = ["."]\nmodule = "example.org/x"', "x: needs a source, or a module"),
        ('[tools.x]\nversion = "1"\npackages = ["."]\nsource = "x"\nmodul = "y"', "modul"),
        ('[tools.x]\npackages = ["."]\nsource = "x"', "'version' is missing"),
        ("", "'tools' is missing"),
    ],
)
def test_a_mistake_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(lock.LockError, match=said):
        read(text, tmp_path)


def test_an_unknown_tool_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(lock.LockError, match=r"no tool 'hlem' in tools.lock: it has kind, helm"):
        lock.tool("hlem")


def test_every_module_has_a_checksum_and_every_source_pins_its_own() -> None:
    for tool in lock.read().tools.values():
        assert tool.sum is None or tool.sum.startswith("h1:"), tool.name
        if tool.source and tool.module:
            pinned = (go.SOURCES / tool.source / "go.sum").read_text().splitlines()
            assert f"{tool.module} v{tool.version} {tool.sum}" in pinned, tool.name


def test_kubectl_is_the_one_of_the_nodes() -> None:
    assert lock.tool("kubectl").version == lock.tool("kubernetes").version


@pytest.mark.parametrize(
    ("manifests", "image"),
    [
        (cluster.METRICS_SERVER, f"{node_image.METRICS_SERVER}:v{lock.tool('metrics-server').version}"),
        (network.POLICIES, node_image.network_policies()),
    ],
    ids=["metrics-server", "network-policies"],
)
def test_the_system_is_installed_from_images_that_the_nodes_carry(manifests: Path, image: str) -> None:
    documents = list(yaml.safe_load_all(manifests.read_text()))
    [workload] = [document for document in documents if document["kind"] in ("Deployment", "DaemonSet")]
    [container] = workload["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image
