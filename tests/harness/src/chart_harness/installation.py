"""One installation of a chart in a namespace of its own."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from chart_harness import diagnostics
from chart_harness.cluster import Kubernetes, Namespace
from chart_harness.errors import KubernetesError, NotReadyError
from chart_harness.manifests import IN_EVERY_NAMESPACE
from chart_harness.port_forward import PortForward
from chart_harness.rendering import content, set_arguments
from chart_harness.waiting import wait_until

RELEASE = "release"
READY_WITHIN_S = 300.0
LONGEST_LABEL = 40
"""A namespace has 63 characters, for the release and what makes it a new one, too."""
TEST_S, UNINSTALL_S = 180, 200.0
NOT_KEPT = ("events", "events.events.k8s.io", "pods.metrics.k8s.io")
WAITED = re.compile("deadline exceeded|context deadline|timed out waiting|did not end within")
"""What Helm says where it has waited in vain, and `Kubernetes.helm` where Helm itself did not end."""


class Installation:
    """`helm install` of ``chart`` with one values file and single values ``sets`` by dotted path.

    Its namespace, which `Installations.new` makes, begins with the release. Everything in it is to be ready within
    ``ready_within_s``.
    """

    release = RELEASE

    def __init__(
        self,
        cluster: Kubernetes,
        values: Path,
        *,
        name: str = "",
        sets: Mapping[str, Any] | None = None,
        chart: Path,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        content(values)
        self.namespace = Namespace(cluster, f"{self.release}-{_label(name or values.stem)}-{secrets.token_hex(3)}")
        self.printed = ""
        """What helm printed at the installation."""
        self.ready_within_s = ready_within_s
        self._chart = chart
        self._values = values
        self._sets = sets or {}
        self._forwards: dict[tuple[str, tuple[int, ...], int], PortForward] = {}

    def install(self, *, wait: bool = True, sets: Mapping[str, Any] | None = None) -> None:
        """Install it, again where it was uninstalled; with ``wait`` return when everything is ready, hooks included.

        Raises KubernetesError where Helm refuses, NotReadyError where the wait is too long.
        """
        given = self._given(self._values, {**self._sets, **(sets or {})}, wait=wait)
        self.printed = self._helm("install", self.release, str(self._chart), *given)

    def upgrade(self, sets: Mapping[str, Any], *, wait: bool = True) -> None:
        """`helm upgrade` to the same values and ``sets``. Raises as `install`."""
        self.upgrade_to(self._chart, self._values, {**self._sets, **sets}, wait=wait)

    @contextlib.contextmanager
    def begun_upgrade(self, sets: Mapping[str, Any]) -> Iterator[None]:
        """As `upgrade`, but Helm is killed at the end of the context, whatever it has done until then."""
        given = self._given(self._values, {**self._sets, **sets}, wait=True)
        command = self.namespace.helm_command("upgrade", self.release, str(self._chart), *given)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as helm:
            try:
                yield
            finally:
                helm.kill()

    def upgrade_to(self, chart: Path, values: Path, sets: Mapping[str, Any], *, wait: bool = True) -> None:
        """`helm upgrade` to another chart with values of its own; with ``wait`` return when everything is ready."""
        self._helm("upgrade", self.release, str(chart), *self._given(values, sets, wait=wait))

    def roll_back(self) -> None:
        """`helm rollback` to what was there before; return when everything is ready."""
        self._helm("rollback", self.release, *self._waiting)

    def test(self) -> str:
        """Run `helm test`; what it prints, the pods' logs included. Raises KubernetesError where one fails."""
        return self.namespace.helm("test", self.release, "--logs", f"--timeout={TEST_S}s", timeout_s=TEST_S + 20)

    def uninstall(self) -> None:
        """Return when everything that is Helm's own is gone, pods included, for which Helm does not wait."""
        self.close()
        self.namespace.helm("uninstall", self.release, "--wait", "--ignore-not-found", timeout_s=UNINSTALL_S)
        wait_until(lambda: not self.namespace.has_ending_pods(), within_s=UNINSTALL_S, why="pods do not end")

    def left(self) -> set[str]:
        """Everything in the namespace as `kind/name`, but what Kubernetes itself puts there."""
        kinds = self.namespace.cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
        listed = ",".join(kind for kind in kinds if kind not in NOT_KEPT)
        found = self.namespace.kubectl("get", listed, "--output=name", "--ignore-not-found").split()
        return {name.replace(".apps/", "/") for name in found} - {one.lower() for one in IN_EVERY_NAMESPACE}

    def remove(self) -> None:
        """Leave nothing, whatever happened before; its namespace is gone some time after this returns."""
        self.close()
        with contextlib.suppress(KubernetesError):
            self.namespace.helm("uninstall", self.release, "--ignore-not-found")
        self.namespace.delete()

    def close(self) -> None:
        """Close all ways in."""
        for forward in self._forwards.values():
            forward.stop()
        self._forwards.clear()

    def forward(
        self, component: str, *ports: int, rank: int = 0, also_unready: bool = False, scheme: str = "http"
    ) -> PortForward:
        """The way to these ports of a pod of a component (see `Namespace.pods`), opened at the first call."""
        key = (component, ports, rank)
        if key not in self._forwards:
            way = PortForward(self.namespace, component, ports, rank=rank, also_unready=also_unready, scheme=scheme)
            self._forwards[key] = way
            way.start()
        return self._forwards[key]

    def diagnose(self, target: Path) -> None:
        """See `chart_harness.diagnostics.collect`."""
        diagnostics.collect(self.namespace, self.release, target / self.namespace.name)

    @property
    def _waiting(self) -> tuple[str, ...]:
        return ("--wait", f"--timeout={self.ready_within_s:.3f}s")

    def _given(self, values: Path, sets: Mapping[str, Any], *, wait: bool) -> list[str]:
        content(values)
        return ["--values", str(values), *set_arguments(sets), *(self._waiting if wait else ())]

    def _helm(self, *command: str) -> str:
        try:
            return self.namespace.helm(*command, timeout_s=2 * self.ready_within_s)
        except KubernetesError as error:
            missing = self.namespace.not_ready() if "--wait" in command and WAITED.search(str(error)) else []
            if not missing:  # a hook that failed, say: Helm tells
                raise
            late = f"{self.release} is not ready after {self.ready_within_s:g} s: {'; '.join(missing)}"
            raise NotReadyError("\n".join([late, *self.namespace.complaints()])) from error


def _label(text: str) -> str:
    """What of it may stand within a namespace's name."""
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST_LABEL]


I = TypeVar("I", bound=Installation)  # noqa: E741 # as the class


class Installations(Generic[I]):
    """All installations of a run: those that live are known, and none outlives the run."""

    def __init__(
        self, kind: type[I], cluster: Kubernetes, chart: Path, *, ready_within_s: float = READY_WITHIN_S
    ) -> None:
        self.live: list[I] = []
        self._leaving: list[Namespace] = []
        self._kind = kind
        self._cluster = cluster
        self._ready_within_s = ready_within_s
        self.chart = chart

    def new(
        self, values: Path, *, name: str = "", sets: Mapping[str, Any] | None = None, chart: Path | None = None
    ) -> I:
        """A namespace for an installation, of another ``chart`` where one is given; nothing is in it yet."""
        installation = self._kind(
            self._cluster,
            values,
            name=name,
            sets=sets,
            chart=chart or self.chart,
            ready_within_s=self._ready_within_s,
        )
        self.live.append(installation)
        installation.namespace.create()
        return installation

    def remove(self, installation: I) -> None:
        """Begin to remove one, whatever state it is in."""
        self.live.remove(installation)
        self._leaving.append(installation.namespace)
        installation.remove()

    def remove_all(self) -> None:
        """Return when nothing is left of any, also where one makes trouble: that is raised at the end."""
        with contextlib.ExitStack() as last:
            for namespace in self._leaving:
                last.callback(namespace.wait_until_gone)
            for installation in self.live[:]:
                last.callback(installation.namespace.wait_until_gone)
                last.callback(self.remove, installation)
