"""The cluster's configuration, and the choice of the way to it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ci import cluster, engine, network
from ci.engine import Engine
from ci.errors import CiError

NO_ENGINE = Engine("false", {})  # every question to it is answered with no


@pytest.mark.parametrize("mode", get_args(cluster.Mode))
def test_both_ways_lead_to_three_nodes_each_in_a_zone_of_its_own(mode: cluster.Mode) -> None:
    nodes = cluster.configuration(mode)["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    assert [node["labels"]["topology.kubernetes.io/zone"] for node in nodes] == ["a", "b", "c"]


def test_only_a_local_cluster_gets_the_projects_network() -> None:
    assert "networking" not in cluster.configuration("stock")
    assert cluster.configuration("local")["networking"] == {
        "disableDefaultCNI": True,
        "podSubnet": network.POD_SUBNET,
        "serviceSubnet": network.SERVICE_SUBNET,
    }


@pytest.mark.parametrize("wish", ["stock", "local"])
def test_a_wish_is_granted_without_asking_the_engine(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster.CHOICE, wish)
    assert cluster.choose(Engine("no-such-program", {})) == wish


@pytest.mark.parametrize("wish", [None, "auto"])
def test_where_no_registry_has_the_stock_image_the_cluster_is_local(
    wish: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wish:
        monkeypatch.setenv(cluster.CHOICE, wish)
    else:
        monkeypatch.delenv(cluster.CHOICE, raising=False)
    assert cluster.choose(NO_ENGINE) == "local"
    assert cluster.choose(Engine("true", {})) == "stock"


def test_an_unknown_wish_is_refused_with_those_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cluster.CHOICE, "remote")
    with pytest.raises(CiError, match="IOT_CLUSTER is 'remote': it may be stock, local or auto"):
        cluster.choose(NO_ENGINE)


def test_podmans_stand_in_for_docker_is_no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = tmp_path / "docker"
    stand_in.write_text("#!/bin/sh\necho podman version 4.3.1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not engine.docker_answers()
    stand_in.write_text("#!/bin/sh\necho Docker version 28.0.1\n")
    assert engine.docker_answers()
