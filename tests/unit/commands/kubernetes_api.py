"""A small HTTPS server that speaks the two calls of the Kubernetes API that the secrets command makes."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

import trustme


class Answer(NamedTuple):
    """An answer to give instead of the right one."""

    status: int
    message: str


class KubernetesApi:
    """Keeps secrets in memory; ``folder`` is what a pod has as its service account.

    ``before`` is consumed first, one entry a request: an `Answer`, or None to break the connection.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets: dict[tuple[str, str], Any] = {}
        self.before: list[Answer | None] = []
        self.conflicts = 0
        self.requests = 0
        self._lock = threading.Lock()
        self._barrier: threading.Barrier | None = None
        self._tokens = 0
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.crt")
        self.renew_token()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def renew_token(self) -> None:
        """Only the newest token is valid."""
        self._tokens += 1
        self._token = f"token-{self._tokens}"
        (self.folder / "token").write_text(f"{self._token}\n")

    def both_look_first(self, parties: int) -> None:
        """Let the first look of each of so many clients end only when all have looked."""
        self._barrier = threading.Barrier(parties)

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, Any] | None:
        """None breaks the connection."""
        match path.split("/"):
            case ["", "api", "v1", "namespaces", namespace, "secrets", *rest]:
                pass
            case _:
                return 404, {"message": "the server could not find the requested resource"}
        if token != f"Bearer {self._token}":
            return 401, {"message": "Unauthorized"}
        with self._lock:
            self.requests += 1
            if self.before:
                instead = self.before.pop(0)
                return instead and (instead.status, {"kind": "Status", "message": instead.message})
            if method == "POST":
                return self._create(namespace, json.loads(body))
            found = self.secrets.get((namespace, rest[0]))
            barrier, self._barrier = self._barrier, self._barrier if found is None else None
        if barrier is not None and barrier.n_waiting < barrier.parties:
            barrier.wait(10)
            self._barrier = None
        if found is None:
            return 404, {"message": f'secrets "{rest[0]}" not found'}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in found["stringData"].items()}
        return 200, {"kind": "Secret", "data": encoded}

    def _create(self, namespace: str, manifest: Any) -> tuple[int, Any]:
        key = namespace, manifest["metadata"]["name"]
        if key in self.secrets:
            self.conflicts += 1
            return 409, {"message": f'secrets "{key[1]}" already exists'}
        self.secrets[key] = manifest
        return 201, manifest

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = api.answer(self.command, self.path, self.headers.get("Authorization"), body)
                if answer is None:
                    self.close_connection = True
                    return
                data = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
