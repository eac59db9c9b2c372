"""CPU and memory."""

from __future__ import annotations

import re

from tests.render.rendered import DEVELOPMENT, TESTING, Installation, Workload

UNITS = {"": 1.0, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
MI = 2**20


def amount(quantity: str | float) -> float:
    """A Kubernetes quantity in CPUs or bytes."""
    match = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(quantity))
    assert match, quantity
    return float(match[1]) * UNITS[match[2]]


def total(workload: Workload, kind: str, resource: str) -> float:
    """What all containers of one pod ask for together."""
    return sum(amount(container.spec["resources"][kind][resource]) for container in workload.containers)


def test_every_container_asks_for_cpu_and_memory_and_is_bounded_in_memory(installation: Installation) -> None:
    for container in installation.containers:
        resources = container.spec["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}, container
        assert "memory" in resources["limits"], container
        for name, limit in resources["limits"].items():
            assert amount(resources["requests"][name]) <= amount(limit), (container, name)


def test_memory_that_looks_like_a_folder_fits_its_containers_limit(installation: Installation) -> None:
    for workload in installation.workloads:
        in_memory = [volume["emptyDir"] for volume in workload.volumes.values() if "Memory" in str(volume)]
        assert sum(amount(folder["sizeLimit"]) for folder in in_memory) < total(workload, "limits", "memory") / 2


def test_development_stays_below_one_and_a_half_gibibytes_even_while_it_is_tested() -> None:
    installation = Installation("development", (DEVELOPMENT,))
    services = sum(
        workload.manifest["spec"]["replicas"] * total(workload, "limits", "memory")
        for workload in installation.services
    )
    check = total(installation.workload("check"), "limits", "memory")
    assert services + check <= 1536 * MI


def test_testing_fits_two_workers_of_two_cpus_while_everything_is_replaced() -> None:
    installation = Installation("testing", (TESTING,))
    running = sum(
        workload.manifest["spec"]["replicas"] * total(workload, "requests", "cpu") for workload in installation.services
    )
    surge = sum(
        total(workload, "requests", "cpu") for workload in installation.services if workload.kind == "Deployment"
    )
    commands = sum(total(workload, "requests", "cpu") for workload in installation.workloads if not workload.serves)
    cluster_itself = 0.5
    assert running + surge + commands + cluster_itself <= 4


def test_nats_collects_garbage_before_it_reaches_its_limit(installation: Installation) -> None:
    nats = installation.container("nats")
    limit = amount(nats.spec["resources"]["limits"]["memory"])
    assert 0.85 * limit <= int(nats.env["GOMEMLIMIT"]["value"]) <= 0.95 * limit
