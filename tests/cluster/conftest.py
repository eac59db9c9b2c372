"""The cluster, what is installed in it, and what a failure leaves behind.

By default the project's own kind cluster; `--cluster-type existing --kubeconfig FILE` takes the user's own: its nodes
must have the images, or a registry to pull them from.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chart_harness.cluster import Kubernetes
from chart_harness.diagnostics import FOLDER
from chart_harness.errors import SettingError
from chart_harness.plugin import INSTALLATIONS
from pytest_helm_charts.clusters import Cluster as PluginCluster

import ci.cluster
import ci.images
from ci import folders, previous
from ci.errors import NoClusterError
from tests.harness.entry import open_to
from tests.harness.faults import FAULTS
from tests.harness.figures import Figures
from tests.harness.helm import CHART, values_file
from tests.harness.installation import Installation, Installations
from tests.harness.mending import mend
from tests.harness.report import page

ORDER = (
    "test_secrets",
    "test_plugin",
    "test_bad_input",
    "test_development",
    "test_backup",
    "test_kuberay",
    "test_upgrade",
    "test_testing",
    "test_encryption",
    "test_rotation",
    "test_ports",
    "test_policies",
    "test_commands",
    "test_replicas",
    "test_faults",
    "test_uninstall",
    "test_switching",
)
"""From `test_testing` on they share one installation, which each of them takes as the one before has left it."""
TIMEOUT_S = 1800
"""Of one test: the first one waits for images too. Every wait has a deadline of its own."""
FAULT_FIGURES = pytest.StashKey[Figures]()
FIGURES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark and order the tests of this folder; one that needs more rounds than there are is not chosen.

    What faults cannot do as they are asked for ends the run here, before anything is installed.
    """
    limits = {fault.name: fault.limits for fault in FAULTS}
    if unknown := [name for name in config.getoption("faults") if name not in limits]:
        pytest.exit(f"no fault is called {', '.join(unknown)}: {', '.join(limits)}", pytest.ExitCode.USAGE_ERROR)
    try:
        config.stash[FAULT_FIGURES] = Figures(limits, config.getoption("figures"))
    except SettingError as wrong:
        pytest.exit(f"--figures: {wrong}", pytest.ExitCode.USAGE_ERROR)
    rounds: int = config.getoption("rounds")
    few = [item for item in items if any(rounds < mark.args[0] for mark in item.iter_markers("rounds"))]
    config.hook.pytest_deselected(items=few)
    items[:] = [item for item in items if item not in few]
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in own:
        item.add_marker(pytest.mark.cluster)
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))
    places = [place for place, item in enumerate(items) if item in own]
    own.sort(key=lambda item: ORDER.index(item.path.stem))
    for place, item in zip(places, own, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """One run at a time on this machine: each begins by deleting what a run that was killed has left."""
    place = folders.cache() / "cluster-tests.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def kubeconfig(pytestconfig: pytest.Config, alone: None, kubectl_program: str, helm_program: str) -> Path:
    """The file that leads to the cluster; what a run that was killed has left in our own is deleted."""
    given = pytestconfig.getoption("kubeconfig")
    if pytestconfig.getoption("cluster_type") == "existing":
        given = given or os.environ.get("KUBECONFIG")
        if not given:
            pytest.fail("--cluster-type existing needs --kubeconfig FILE", pytrace=False)
    if given:
        return Path(given)
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # the steps are shown as they happen
            mend(ci.cluster.nodes())  # before anybody waits for a node that is cut off
            cluster = ci.cluster.ensure()
            ci.images.load(cluster)
    except NoClusterError as lacking:  # tests that were not run must not pass; ci.check asks beforehand
        pytest.fail(str(lacking), pytrace=False)
    Kubernetes(cluster.kubeconfig, kubectl_program, helm_program).delete_left_namespaces()
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def kube_config(kubeconfig: Path, kubectl_program: str) -> str:
    """The same for pytest-helm-charts, which finds kubectl on PATH."""
    os.environ["PATH"] = f"{Path(kubectl_program).parent}{os.pathsep}{os.environ['PATH']}"
    return str(kubeconfig)


@pytest.fixture(autouse=True)
def plugin_cluster(kubernetes: Kubernetes, kube_cluster: PluginCluster) -> PluginCluster:
    """The view that pytest-helm-charts has of the cluster."""
    return kube_cluster


@pytest.fixture(scope="session")
def installations(kubernetes: Kubernetes, pytestconfig: pytest.Config) -> Iterator[Installations]:
    """Where installations come from; all are gone at the end, also after Ctrl-C. `--chart-path` takes another chart."""
    made = Installations(Installation, kubernetes, Path(pytestconfig.getoption("chart_path") or CHART))
    pytestconfig.stash[INSTALLATIONS] = made
    yield made
    made.remove_all()


@pytest.fixture(scope="session")
def previous_chart(kube_config: str, pytestconfig: pytest.Config) -> Path:
    """The previous release's chart, whose images are in the cluster; skips where one of them cannot be had."""
    if pytestconfig.getoption("kubeconfig") or pytestconfig.getoption("cluster_type") == "existing":
        pytest.skip("the previous release's images are brought to the project's own cluster alone")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            ci.images.bring(ci.cluster.ensure(), previous.images())
    except previous.PreviousError as lacking:
        pytest.skip(str(lacking))
    return previous.chart()


@pytest.fixture(scope="session")
def testing(installations: Installations, kubernetes: Kubernetes, figures: list[str]) -> Installation:
    """values/testing.yaml, installed once for all tests that use it, and open to clients of its Service."""
    installation = installations.new(values_file("testing"), sets=open_to(kubernetes))
    began_s = time.monotonic()
    installation.install()
    figures.append(f"values/testing.yaml is installed and ready after {time.monotonic() - began_s:.0f} s")
    return installation


@pytest.fixture(scope="session")
def fault_figures(pytestconfig: pytest.Config) -> Figures:
    """What is printed at the end of the run."""
    return pytestconfig.stash[FAULT_FIGURES]


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines that are printed at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured, and what each fault cost; a page has the time lines."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
    found = config.stash.get(FAULT_FIGURES, None)
    if found is not None and found.rows:
        terminalreporter.section("faults under load, in seconds: median / 95th percentile / maximum")
        for line in found.lines():
            terminalreporter.write_line(line)
        file = (config.getoption("figures") or FOLDER.absolute() / "faults").with_suffix(".html")
        file.parent.mkdir(exist_ok=True)
        file.write_text(page(found.document))
        terminalreporter.write_line(f"all of it, with its time lines: {file}")
