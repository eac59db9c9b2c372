"""A small HTTPS server that speaks the three calls of the Kubernetes API that the secrets command makes."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_Issuer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


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
        self._versions = 0
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.crt")
        self.renew_token()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
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

    def show_bare_certificates(self) -> None:
        """Have a CA and a certificate with no more extensions than they need, as clusters of EKS have."""
        authority = _bare_certificate("kubernetes", x509.BasicConstraints(ca=True, path_length=None), None)
        local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate, key = _bare_certificate("kube-apiserver", local, authority)
        (self.folder / "ca.crt").write_bytes(authority[0].public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        shown = self.folder / "shown.pem"
        shown.write_bytes(certificate.public_bytes(Encoding.PEM) + pem)
        self._context.load_cert_chain(shown)

    def put(self, namespace: str, name: str, **values: str) -> None:
        """A secret that somebody else has made."""
        self.replace(namespace, name, {key.replace("_", "-"): value.encode() for key, value in values.items()})

    def replace(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        """Give a secret these keys and no other."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.secrets[namespace, name] = {"metadata": {"name": name}, "data": encoded}
        self._stamp(self.secrets[namespace, name])

    def values(self, namespace: str, name: str) -> dict[str, str]:
        """What a secret holds."""
        data = self.secrets[namespace, name]["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def annotate(self, namespace: str, name: str, annotation: str, value: str) -> None:
        """As `kubectl annotate` does."""
        with self._lock:
            self.secrets[namespace, name]["metadata"].setdefault("annotations", {})[annotation] = value
            self._stamp(self.secrets[namespace, name])

    def annotations(self, namespace: str, name: str) -> dict[str, str]:
        """Those of a secret."""
        found: dict[str, str] = self.secrets[namespace, name]["metadata"].get("annotations", {})
        return found

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
            if method == "PATCH":
                return self._change((namespace, rest[0]), json.loads(body))
            found = self.secrets.get((namespace, rest[0]))
            barrier = self._barrier
        if barrier is not None:
            barrier.wait(10)
            self._barrier = None
        return (404, {"message": f'secrets "{rest[0]}" not found'}) if found is None else (200, found)

    def _create(self, namespace: str, manifest: Any) -> tuple[int, Any]:
        key = namespace, manifest["metadata"]["name"]
        if key in self.secrets:
            self.conflicts += 1
            return 409, {"message": f'secrets "{key[1]}" already exists'}
        self.secrets[key] = manifest
        self._stamp(manifest)
        return 201, manifest

    def _change(self, key: tuple[str, str], patch: Any) -> tuple[int, Any]:
        """Merge (RFC 7396), unless the secret has changed since the version that the patch names."""
        found = self.secrets.get(key)
        if found is None:
            return 404, {"message": f'secrets "{key[1]}" not found'}
        if patch["metadata"].pop("resourceVersion") != found["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return 409, {"message": "the object has been modified; please apply your changes to the latest version"}
        changed = merged(found, patch)
        self.secrets[key] = changed
        self._stamp(changed)
        return 200, changed

    def _stamp(self, secret: Any) -> None:
        self._versions += 1
        secret["metadata"]["resourceVersion"] = str(self._versions)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_PATCH(self) -> None:
                assert self.headers["Content-Type"] == "application/merge-patch+json"
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


def _bare_certificate(name: str, only: x509.ExtensionType, issuer: _Issuer | None) -> _Issuer:
    """With ``only`` this extension and its key; None signs itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, signing = (subject, key) if issuer is None else (issuer[0].subject, issuer[1])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(only, critical=issuer is None)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return builder.sign(signing, SHA256()), key


def merged(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        result[key] = merged(result.get(key), value)
        if value is None:
            del result[key]
    return result
