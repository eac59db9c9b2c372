"""The fixtures, as pytest finds them; the README describes them."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chart_harness import configuration, diagnostics
from chart_harness.cluster import Kubernetes
from chart_harness.configuration import NO_CHART
from chart_harness.errors import HarnessError, HelmError, NotReadyError, SettingError
from chart_harness.faults import Faults, Ledger, NoLedger
from chart_harness.installation import Installation, Installations
from chart_harness.manifests import Rendered
from chart_harness.rendering import Chart
from chart_harness.rules import Rule
from chart_harness.rules.templates import upgrade

INSTALLATIONS = pytest.StashKey[Installations[Any]]()
"""All installations of the run, which a failure tells about; who makes his own fixture `installations` puts it here."""
TELLING = (SettingError, HelmError, NotReadyError)
"""What says all by itself, wherever it comes up; the others do where a fixture meets them, before the test begins."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """See `chart_harness.configuration`."""
    configuration.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Offer the fixtures whose cases the configuration names; what is wrong with it is told before any test."""
    # Of pytest-helm-charts, which marks fixtures of its own as deprecated; nobody here can change that.
    warnings.filterwarnings("ignore", message="cannot discover fixture", category=pytest.PytestWarning)
    try:
        configuration.ready_within_s(config)
        config.pluginmanager.register(cases(configuration.values_files(config), configuration.rules(config)))
    except SettingError as missing:
        raise pytest.UsageError(str(missing)) from missing


def cases(files: Sequence[Path], rules: Mapping[str, Rule]) -> ModuleType:
    """A plugin with two fixtures: a test that uses them, directly or not, runs for each file and each rule."""

    @pytest.fixture(scope="session", params=files or (None,), ids=lambda path: path.stem if path else "none")
    def values_file(request: pytest.FixtureRequest) -> Path:
        """One values file."""
        if request.param is None:
            raise SettingError(NO_CHART)
        path: Path = request.param
        return path

    @pytest.fixture(params=rules.values(), ids=list(rules))
    def rule(request: pytest.FixtureRequest, chart: Rendered) -> Rule:
        """One of the rules; `upgrade` needs a chart to begin at."""
        rule: Rule = request.param
        if rule is upgrade and chart.previous is None:
            pytest.skip("no --previous-chart is given, from which an upgrade would begin")
        return rule

    made = ModuleType(f"{__name__}.cases")
    made.__dict__.update(values_file=values_file, rule=rule)
    return made


@pytest.fixture(scope="session")
def helm_program(pytestconfig: pytest.Config) -> str:
    """The path of helm."""
    return configuration.program(pytestconfig, "helm")


@pytest.fixture(scope="session")
def kubectl_program(pytestconfig: pytest.Config) -> str:
    """The path of kubectl."""
    return configuration.program(pytestconfig, "kubectl")


@pytest.fixture(scope="session")
def chart(pytestconfig: pytest.Config, helm_program: str, values_file: Path) -> Rendered:
    """What the chart makes of one values file."""
    previous = pytestconfig.getoption("previous_chart")
    return Rendered(
        Chart(configuration.chart_folder(pytestconfig), helm_program),
        values_file,
        previous=Chart(configuration.existing_chart(Path(previous)), helm_program) if previous else None,
        given=frozenset(pytestconfig.getini("chart_given")),
    )


@pytest.fixture(scope="session")
def kubeconfig(pytestconfig: pytest.Config) -> Path:
    """The file that leads to the cluster; a conftest.py that makes a cluster of its own overrides this."""
    return configuration.kubeconfig(pytestconfig)


@pytest.fixture(scope="session")
def kubernetes(kubeconfig: Path, kubectl_program: str, helm_program: str) -> Kubernetes:
    """The cluster, which answers."""
    cluster = Kubernetes(kubeconfig, kubectl_program, helm_program)
    cluster.require()
    return cluster


@pytest.fixture(scope="session")
def installations(kubernetes: Kubernetes, pytestconfig: pytest.Config) -> Iterator[Installations[Installation]]:
    """Where installations come from; all are gone at the end, also after Ctrl-C."""
    folder = configuration.chart_folder(pytestconfig)
    within_s = configuration.ready_within_s(pytestconfig)
    made = Installations(Installation, kubernetes, folder, ready_within_s=within_s)
    pytestconfig.stash[INSTALLATIONS] = made
    yield made
    made.remove_all()


@pytest.fixture(scope="module")
def installation(
    installations: Installations[Installation], values_file: Path, request: pytest.FixtureRequest
) -> Installation:
    """The chart, installed with one values file in a namespace of its own, and ready; it is gone after the module."""
    made = installations.new(values_file)
    request.addfinalizer(lambda: installations.remove(made))  # noqa: PT021 # after a start that failed, too
    made.install()
    return made


@pytest.fixture
def ledger() -> Ledger:
    """What users of the system were promised; a conftest.py that knows it overrides this."""
    return NoLedger()


@pytest.fixture
def faults(installation: Installation, ledger: Ledger) -> Faults:
    """What can be broken in the installation."""
    return Faults(installation, ledger)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure leaves diagnostics of everything that is installed; what is no fault of the test is one sentence."""
    report = yield
    if not report.failed:
        return report
    if call.excinfo is not None and call.excinfo.errisinstance(HarnessError if call.when == "setup" else TELLING):
        told = call.excinfo.value
        report.longrepr = "\n".join([str(told), *getattr(told, "__notes__", ())])
    made = item.config.stash.get(INSTALLATIONS, None)
    if made is not None and made.live:
        folder = diagnostics.folder(item.nodeid)
        where = str(folder)
        try:
            for installation in made.live:
                installation.diagnose(folder)
        except OSError as error:  # which is no reason to lose the failure itself
            where = f"{folder} has not all: {error}"
        report.sections.append(("diagnostics", where))
    return report
