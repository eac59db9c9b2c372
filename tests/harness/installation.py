"""One installation of this project's chart in a namespace of its own."""

from __future__ import annotations

import ssl
from functools import cached_property

import chart_harness.installation
from chart_harness.port_forward import PortForward

from tests.harness.entry import SERVICE, Entry
from tests.harness.helm import RELEASE
from tests.harness.rest import Rest

DATABASE_ROLE = "iot-system/database-role"
"""Label of a database server: whether it is the primary."""
HTTP, MQTT, MQTTS = 8000, 1883, 8883
HOST = "127.0.0.1"


class Installation(chart_harness.installation.Installation):
    """With the ways into its API and its database."""

    release = RELEASE

    def sql(self, text: str, *, user: str = "iot") -> str:
        """What the database answers, asked beside its server: the one that others follow, where there are several."""
        command = ("psql", f"--username={user}", "--dbname=iot", "--no-align", "--tuples-only", f"--command={text}")
        return self.at_server(self.database, *command)

    def at_server(self, server: str, *command: str) -> str:
        """What a program prints that runs in the container of the database server in this pod."""
        return self.namespace.kubectl("exec", server, "--container=postgres", "--", *command).strip()

    @property
    def database(self) -> str:
        """The pod of the database server: of several the one that others follow."""
        pods = self.namespace.pods("postgres")
        primaries = [pod for pod in pods if pod["metadata"]["labels"].get(DATABASE_ROLE) == "primary"]
        (found,) = pods if len(pods) == 1 else primaries
        return str(found["metadata"]["name"])

    def close(self) -> None:
        """Close all ways in."""
        opened: list[Rest | Entry | None] = [self.__dict__.pop(name, None) for name in ("rest", "entry")]
        for one in opened:
            if one is not None:
                one.close()
        super().close()
        self.__dict__.pop("trust", None)

    def forward(
        self, component: str, *ports: int, rank: int = 0, also_unready: bool = False, scheme: str = ""
    ) -> PortForward:
        """As before; the API speaks HTTPS where there is `trust`."""
        scheme = scheme or ("https" if component == "api" and self.trust else "http")
        return super().forward(component, *ports, rank=rank, also_unready=also_unready, scheme=scheme)

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


Installations = chart_harness.installation.Installations[Installation]
