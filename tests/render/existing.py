"""What Helm makes of the chart beside StatefulSets that are there, as an upgrade sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.harness import helm
from tests.harness.http_server import serving

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


def rendered_beside(specs: Mapping[str, Any], *arguments: str) -> str:
    """What a Helm prints that sees these StatefulSets (name → spec). Raises HelmError."""
    with _kubernetes(specs) as url:
        return helm.template("--dry-run=server", "--kube-apiserver", url, *arguments)


@contextmanager
def _kubernetes(specs: Mapping[str, Any]) -> Iterator[str]:
    kind = {"apiVersion": "apps/v1", "kind": "StatefulSet"}
    there = {f"{STATEFULSETS}/{name}": kind | {"metadata": {"name": name}, "spec": one} for name, one in specs.items()}
    answers = ANSWERS | there

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

    with serving(Handler) as url:
        yield url
