"""An upgrade looks at the database that is there, and refuses to make another kind of it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.harness import helm
from tests.harness.helm import HelmError

STATEFULSET = "/apis/apps/v1/namespaces/iot/statefulsets/postgres"
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


@contextmanager
def kubernetes(service: str) -> Iterator[str]:
    """The address of one in which StatefulSet postgres belongs to this Service."""
    there = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "postgres"}}
    answers = ANSWERS | {STATEFULSET: there | {"spec": {"serviceName": service}}}

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


def rendered_beside(service: str, mode: str) -> str:
    """What a Helm that sees that StatefulSet makes of the chart. Raises HelmError."""
    with kubernetes(service) as url:
        return helm.template("--dry-run=server", "--kube-apiserver", url, "--set", f"global.database.mode={mode}")


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
    with pytest.raises(HelmError, match=re.escape(refusal(mode, there))):
        rendered_beside(service, mode)
    assert f"serviceName: {service}" in rendered_beside(service, there)
