"""What Helm makes of the chart beside objects that are there, as an upgrade sees them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from chart_harness.rendering import Manifest

from tests.harness import helm
from tests.harness.http_server import serving

APPS = "/apis/apps/v1"
KINDS = {"StatefulSet": APPS, "ConfigMap": "/api/v1", "PersistentVolumeClaim": "/api/v1", "Service": "/api/v1"}
"""What the chart looks at, and where Kubernetes has it."""
LISTED = {"singularName": "", "namespaced": True, "verbs": ["get", "list"]}


def stateful_set(component: str, spec: Manifest, *, name: str = "") -> Manifest:
    """That of this release which runs a component."""
    labels = {"app.kubernetes.io/name": component, "app.kubernetes.io/instance": helm.RELEASE}
    return {"kind": "StatefulSet", "metadata": {"name": name or component, "labels": labels}, "spec": spec}


def rendered_beside(there: Iterable[Manifest], *arguments: str) -> str:
    """What a Helm prints that sees these objects of its namespace. Raises HelmError."""
    with _kubernetes(there) as url:
        return helm.template("--dry-run=server", "--kube-apiserver", url, *arguments)


def _plural(kind: str) -> str:
    return f"{kind.lower()}s"


def _folder(kind: str) -> str:
    return f"{KINDS[kind]}/namespaces/{helm.NAMESPACE}/{_plural(kind)}"


def _version(root: str) -> str:
    return root.removeprefix("/apis/").removeprefix("/api/")


def _answers(there: Iterable[Manifest]) -> dict[str, Any]:
    """As much of a Kubernetes API as Helm asks before it renders, and while it does: by path."""
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "34", "gitVersion": f"v{helm.KUBERNETES}"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
        },
    }
    for root in {*KINDS.values()}:
        kinds = [kind for kind, place in KINDS.items() if place == root]
        listed = [{"name": _plural(kind), "kind": kind, **LISTED} for kind in kinds]
        answers[root] = {"kind": "APIResourceList", "groupVersion": _version(root), "resources": listed}
        for kind in kinds:
            answers[_folder(kind)] = {"kind": f"{kind}List", "items": []}
    for one in there:
        kind = one["kind"]
        found = {"apiVersion": _version(KINDS[kind])} | one
        answers[_folder(kind)]["items"].append(found)
        answers[f"{_folder(kind)}/{one['metadata']['name']}"] = found
    return answers


@contextmanager
def _kubernetes(there: Iterable[Manifest]) -> Iterator[str]:
    answers = _answers(there)

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
