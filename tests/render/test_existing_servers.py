"""An upgrade looks at what is there, and refuses what Kubernetes could not make of it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.harness import helm
from tests.harness.helm import HelmError

STATEFULSETS = "/apis/apps/v1/namespaces/iot/statefulsets"
LISTED = {"name": "statefulsets", "singularName": "", "kind": "StatefulSet", "namespaced": True, "verbs": ["get"]}
ANSWERS = {
    "/version": {"major": "1", "minor": "34", "gitVersion": f"v{helm.KUBERNETES}"},
    "/api": {"kind": "APIVersions", "versions": []},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
    },
    "/apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [LISTED]},
}
"""As much of a Kubernetes API as Helm asks before it renders."""
EXTERNAL_NATS = (
    "global.nats.mode=external",
    "global.nats.urls={nats://nats.example.org:4222}",
    "global.natsApi.existingSecret=a",
    "global.natsActorSystem.existingSecret=b",
)


@contextmanager
def kubernetes(name: str, spec: Any) -> Iterator[str]:
    """The address of one that has this StatefulSet."""
    there = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}
    answers = ANSWERS | {f"{STATEFULSETS}/{name}": there}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(found or {"kind": "Status", "status": "Failure", "reason": "NotFound"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rendered_beside(name: str, spec: Any, *sets: str) -> str:
    """What a Helm that sees that StatefulSet makes of the chart. Raises HelmError."""
    with kubernetes(name, spec) as url:
        return helm.template("--dry-run=server", "--kube-apiserver", url, "--set", ",".join(sets))


def refusal(mode: str, there: str) -> str:
    return (
        f"global.database.mode is {mode}, but the database in namespace iot is {there}, and stays so: set that, or "
        "restore its backup into a new installation."
    )


@pytest.mark.parametrize(
    ("service", "mode", "there"),
    [("database-service", "replicated", "single"), ("database-headless", "single", "replicated")],
)
def test_a_database_of_the_other_kind_is_refused_in_one_sentence(service: str, mode: str, there: str) -> None:
    spec = {"serviceName": service}
    with pytest.raises(HelmError, match=re.escape(refusal(mode, there))):
        rendered_beside("postgres", spec, f"global.database.mode={mode}")
    assert f"serviceName: {service}" in rendered_beside("postgres", spec, f"global.database.mode={there}")


def with_volumes(size: str) -> dict[str, Any]:
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    return {"serviceName": "database-service", "volumeClaimTemplates": [claim]}


def refusal_of_size(value: str, name: str) -> str:
    return (
        f"{value} is 30Gi, but the volumes of StatefulSet {name} in namespace iot have 20Gi, and Kubernetes does not "
        "change them by itself: set that, or let them grow first, as docs/operations.md says."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("nats", "nats.storage"), ("postgres", "postgres.storage"), ("ray-head", "actor-system.ray.head.storage")],
)
def test_another_size_of_volumes_that_exist_is_refused_in_one_sentence(name: str, value: str) -> None:
    sets = ("global.database.mode=single", f"{value}=30Gi")
    with pytest.raises(HelmError, match=re.escape(refusal_of_size(value, name))):
        rendered_beside(name, with_volumes("20Gi"), *sets)
    for same in ("30Gi", "30720Mi"):
        assert "storage: 30Gi" in rendered_beside(name, with_volumes(same), *sets)


def test_the_volumes_of_servers_that_are_not_ours_may_have_any_size() -> None:
    rendered_beside("nats", with_volumes("1Gi"), "global.database.mode=single", *EXTERNAL_NATS)
