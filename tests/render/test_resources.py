"""CPU and memory."""

from __future__ import annotations

import math

import pytest
from chart_harness.manifests import Workload
from chart_harness.quantities import amount
from chart_harness.rules.pods import resources

from tests.harness.helm import CHART, ROOT
from tests.render.rendered import DEVELOPMENT, PRODUCTION, TESTING, WITH_NATS, Installation

DESIGN: dict[str, tuple[tuple[float, float], tuple[float, float], float, int]] = {
    # CPUs and GiB of memory, each as request and limit; GiB of disk; pods, at least
    "actor-system": ((2, 4), (2, 8), 20, 3),
    "postgres": ((2, 8), (4, 16), 100, 1),  # two with replication
    "nats": ((2, 4), (2, 8), 20, 3),
    "api": ((1, 2), (1, 4), 10, 2),
}
MI, GI = 2**20, 2**30


def total(workload: Workload, kind: str, resource: str) -> float:
    """What all containers of one pod ask for together."""
    return sum(amount(container.spec["resources"][kind][resource]) for container in workload.containers)


def test_every_container_asks_for_cpu_and_memory_and_is_bounded_in_memory(installation: Installation) -> None:
    assert [*resources(installation)] == []


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


def test_what_production_asks_for_is_what_is_written_about_it() -> None:
    pods = [(one.manifest["spec"]["replicas"], one) for one in Installation("production", (PRODUCTION,)).services]
    cpus, memory = (sum(count * total(one, "requests", kind) for count, one in pods) for kind in ("cpu", "memory"))
    for page in (PRODUCTION, ROOT / "README.md", ROOT / "UPGRADING.md", CHART / "README.md"):
        assert f"{cpus:g} CPUs and {memory / GI:g} GiB" in page.read_text(), page


def test_production_has_the_resources_of_the_design() -> None:
    installation = Installation("production", (PRODUCTION,))
    for name, (cpu, memory, disk, pods) in DESIGN.items():
        workload = installation.workload(name)
        asked, bound = (workload.containers[0].spec["resources"][kind] for kind in ("requests", "limits"))
        assert (amount(asked["cpu"]), amount(bound["cpu"])) == cpu, name
        assert (amount(asked["memory"]) / GI, amount(bound["memory"]) / GI) == memory, name
        claims = [claim["spec"]["resources"]["requests"]["storage"] for claim in workload.claims.values()]
        assert amount((claims or [bound["ephemeral-storage"]])[0]) / GI >= disk, name
        assert workload.manifest["spec"]["replicas"] >= pods, name


def test_every_container_of_production_is_bounded_in_everything() -> None:
    for container in Installation("production", (PRODUCTION,)).containers:
        for kind in ("requests", "limits"):
            assert container.spec["resources"][kind].keys() == {"cpu", "memory", "ephemeral-storage"}, container


def test_what_a_pod_may_write_fits_into_its_share_of_the_nodes_disk(installation: Installation) -> None:
    for workload in installation.workloads:
        on_disk = [
            one["emptyDir"] for one in workload.volumes.values() if "emptyDir" in one and "Memory" not in str(one)
        ]
        for container in workload.containers:
            if "ephemeral-storage" in container.spec["resources"]["limits"]:
                share = amount(container.spec["resources"]["limits"]["ephemeral-storage"])
                assert sum(amount(folder["sizeLimit"]) for folder in on_disk) < share, workload


def test_testing_fits_three_nodes_of_two_cpus_while_everything_is_replaced_and_two_while_one_is_lost() -> None:
    installation = Installation("testing", (TESTING,))
    running = sum(
        workload.manifest["spec"]["replicas"] * total(workload, "requests", "cpu") for workload in installation.services
    )
    surge = sum(
        total(workload, "requests", "cpu") for workload in installation.services if workload.kind == "Deployment"
    )
    commands = sum(total(workload, "requests", "cpu") for workload in installation.workloads if not workload.serves)
    cluster_itself = 0.5
    assert running + surge + commands + cluster_itself <= 6
    assert running + cluster_itself <= 4


@pytest.mark.parametrize("installation", WITH_NATS, ids=str)
def test_nats_collects_garbage_before_it_reaches_its_limit(installation: Installation) -> None:
    nats = installation.container("nats")
    limit = amount(nats.spec["resources"]["limits"]["memory"])
    assert 0.85 * limit <= int(nats.env["GOMEMLIMIT"]["value"]) <= 0.95 * limit


@pytest.mark.parametrize(
    ("quantity", "meant"),
    [
        ("1", 1),
        (0.5, 0.5),
        ("100m", 0.1),
        ("100n", 1e-7),
        ("1e3", 1e3),
        ("1e400", math.inf),
        ("1E", 1e18),
        ("2Gi", 2 * GI),
        (".5Ki", 512),
    ],
)
def test_quantities_are_read_as_kubernetes_does(quantity: str | float, meant: float) -> None:
    assert amount(quantity) == pytest.approx(meant)


@pytest.mark.parametrize("quantity", ["", "1g", "1.2.3", "Gi", "1 Gi"])
def test_what_is_no_quantity_is_told(quantity: str) -> None:
    with pytest.raises(ValueError, match=r" is no quantity, as 500m or 2Gi$"):
        amount(quantity)
