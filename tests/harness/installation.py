"""One installation of the chart in a namespace of its own."""

from __future__ import annotations

import contextlib
import json
import secrets
import ssl
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.harness import diagnostics
from tests.harness.cluster import DATABASE_ROLE, Kubernetes, KubernetesError, Namespace
from tests.harness.entry import SERVICE, Entry
from tests.harness.helm import CHART, RELEASE
from tests.harness.port_forward import PortForward
from tests.harness.rest import Rest

HTTP, MQTT, MQTTS = 8000, 1883, 8883
READY_WITHIN_S = 300.0
WAITING = ("--wait", f"--timeout={READY_WITHIN_S:.0f}s")
HOST = "127.0.0.1"


class Installation:
    """`helm install` of ``chart`` with one values file and single values ``sets`` by dotted path."""

    def __init__(
        self,
        cluster: Kubernetes,
        values: Path,
        *,
        name: str = "",
        sets: Mapping[str, Any] | None = None,
        chart: Path,
    ) -> None:
        self.namespace = Namespace(cluster, f"iot-{name or values.stem}-{secrets.token_hex(3)}")
        self.printed = ""
        """What helm printed at the installation."""
        self._chart = chart
        self._values = values
        self._sets = sets or {}
        self._forwards: dict[tuple[str, int], PortForward] = {}

    def install(self, *, wait: bool = True, sets: Mapping[str, Any] | None = None) -> None:
        """Install it, again where it was uninstalled; with ``wait`` return when everything is ready, hooks included.

        Raises KubernetesError where Helm refuses, or the wait is too long.
        """
        given = ("--values", str(self._values), *_single_values({**self._sets, **(sets or {})}))
        waiting = WAITING if wait else ()
        command = ("install", RELEASE, str(self._chart), *given, *waiting)
        self.printed = self.namespace.helm(*command, timeout_s=2 * READY_WITHIN_S)

    def upgrade(self, sets: Mapping[str, Any], *, wait: bool = True) -> None:
        """`helm upgrade` to the same values and ``sets``. Raises as `install`."""
        self.upgrade_to(self._chart, self._values, {**self._sets, **sets}, wait=wait)

    def upgrade_to(self, chart: Path, values: Path, sets: Mapping[str, Any], *, wait: bool = True) -> None:
        """`helm upgrade` to another chart with values of its own; with ``wait`` return when everything is ready."""
        given = ("--values", str(values), *_single_values(sets), *(WAITING if wait else ()))
        self.namespace.helm("upgrade", RELEASE, str(chart), *given, timeout_s=2 * READY_WITHIN_S)

    def roll_back(self) -> None:
        """`helm rollback` to what was there before; return when everything is ready."""
        self.namespace.helm("rollback", RELEASE, *WAITING, timeout_s=2 * READY_WITHIN_S)

    def test(self) -> str:
        """Run `helm test`; what it prints, the pod's log included."""
        return self.namespace.helm("test", RELEASE, "--logs", "--timeout=180s", timeout_s=200)

    def sql(self, text: str, *, user: str = "iot") -> str:
        """What the database answers, asked beside its server: the one that others follow, where there are several."""
        command = ("psql", f"--username={user}", "--dbname=iot", "--no-align", "--tuples-only", f"--command={text}")
        return self.namespace.kubectl("exec", self.database, "--container=postgres", "--", *command).strip()

    @property
    def database(self) -> str:
        """The pod of the database server: of several the one that others follow."""
        pods = self.namespace.pods("postgres")
        primaries = [pod for pod in pods if pod["metadata"]["labels"].get(DATABASE_ROLE) == "primary"]
        (found,) = pods if len(pods) == 1 else primaries
        return str(found["metadata"]["name"])

    def uninstall(self) -> None:
        """Return when Helm has deleted everything that is its own."""
        self.close()
        self.namespace.helm("uninstall", RELEASE, "--wait", "--ignore-not-found", timeout_s=200)

    def remove(self) -> None:
        """Leave nothing, whatever happened before; its namespace is gone some time after this returns."""
        self.close()
        with contextlib.suppress(KubernetesError):
            self.namespace.helm("uninstall", RELEASE, "--ignore-not-found")
        self.namespace.delete()

    def close(self) -> None:
        """Close all ways in."""
        opened: list[Rest | Entry | None] = [self.__dict__.pop(name, None) for name in ("rest", "entry")]
        for one in opened:
            if one is not None:
                one.close()
        for forward in self._forwards.values():
            forward.stop()
        self._forwards.clear()
        self.__dict__.pop("trust", None)

    def forward(self, component: str, *ports: int, rank: int = 0, also_unready: bool = False) -> PortForward:
        """The way to a pod of a component, opened at the first call."""
        if (component, rank) not in self._forwards:
            scheme = "https" if component == "api" and self.trust else "http"
            way = PortForward(self.namespace, component, ports, rank=rank, also_unready=also_unready, scheme=scheme)
            self._forwards[component, rank] = way
            way.start()
        return self._forwards[component, rank]

    @property
    def api(self) -> PortForward:
        """The way to REST and MQTT."""
        return self.forward("api", HTTP, self._mqtt_port)

    @property
    def other_api(self) -> PortForward:
        """The way to another API pod."""
        return self.forward("api", HTTP, self._mqtt_port, rank=1)

    @cached_property
    def trust(self) -> ssl.SSLContext | None:
        """What clients of the API trust; None where nothing is encrypted."""
        ports = self.namespace.read("service", SERVICE)["spec"]["ports"]
        if all(port["name"] != "mqtts" for port in ports):
            return None
        return ssl.create_default_context(cadata=self.namespace.secret("api-tls", "ca.crt"))

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.namespace.secret("api-credentials", "admin-token")

    @cached_property
    def rest(self) -> Rest:
        """The REST interface as administrator."""
        return Rest(self.api.url(HTTP), self.token, trust=self.trust)

    @cached_property
    def entry(self) -> Entry:
        """The way in by the Service, where the installation is open."""
        return Entry(self.namespace, self.token, self.trust)

    @property
    def mqtt(self) -> tuple[str, int]:
        """Host and port of MQTT, by TLS where there is `trust`."""
        return HOST, self.api.local(self._mqtt_port)

    @property
    def other_mqtt(self) -> tuple[str, int]:
        """The same of another API pod."""
        return HOST, self.other_api.local(self._mqtt_port)

    @property
    def _mqtt_port(self) -> int:
        return MQTTS if self.trust else MQTT

    def diagnose(self, target: Path) -> None:
        """See `tests.harness.diagnostics.collect`."""
        diagnostics.collect(self.namespace, RELEASE, target / self.namespace.name)


class Installations:
    """All installations of a run: those that live are known, and none outlives the run."""

    def __init__(self, cluster: Kubernetes, chart: Path = CHART) -> None:
        self.live: list[Installation] = []
        self._leaving: list[Namespace] = []
        self._cluster = cluster
        self.chart = chart

    def new(
        self, values: Path, *, name: str = "", sets: Mapping[str, Any] | None = None, chart: Path | None = None
    ) -> Installation:
        """A namespace for an installation, of another ``chart`` where one is given; nothing is in it yet."""
        installation = Installation(self._cluster, values, name=name, sets=sets, chart=chart or self.chart)
        self.live.append(installation)
        installation.namespace.create()
        return installation

    def remove(self, installation: Installation) -> None:
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


def _single_values(sets: Mapping[str, Any]) -> list[str]:
    return [part for path, value in sets.items() for part in ("--set-json", f"{path}={json.dumps(value)}")]
