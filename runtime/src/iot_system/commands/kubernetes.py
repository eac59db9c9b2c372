"""The few calls to the Kubernetes API that a job needs: is a secret there, and make it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from iot_system.errors import Conflict, Forbidden, InvalidSetting, IotError, Unavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API_URL = "https://kubernetes.default.svc"
PATIENCE_S = 120.0
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
TIMEOUT_S = 10.0


class Kubernetes:
    """The API server as the pod's service account sees it, in a ``with``; ``folder`` holds its token and the CA."""

    def __init__(self, *, url: str = API_URL, folder: Path = SERVICE_ACCOUNT, patience_s: float = PATIENCE_S) -> None:
        self._url = url
        self._folder = folder
        self._patience_s = patience_s
        try:
            trusted = ssl.create_default_context(cafile=folder / "ca.crt")
        except (OSError, ssl.SSLError) as error:
            raise InvalidSetting(f"{folder}/ca.crt cannot be used: {error}; this command runs in a pod") from error
        self._client = httpx.Client(base_url=url, verify=trusted, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Kubernetes:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def secret_keys(self, namespace: str, name: str) -> frozenset[str] | None:
        """The keys of a secret, or None where there is none."""
        response = self._request("GET", _path(namespace, name), f"read secret {name!r} in namespace {namespace!r}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return frozenset(msgspec.json.decode(response.content).get("data") or ())

    def create_secret(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        """Raises `Conflict` where it exists already."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "iot-system"}},
            "type": "Opaque",
            "stringData": values,
        }
        what = f"create secret {name!r} in namespace {namespace!r}"
        response = self._request("POST", _path(namespace), what, manifest)
        if response.status_code == httpx.codes.CONFLICT:
            raise Conflict(f"secret {name!r} exists already")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise InvalidSetting(f"cannot {what}: {_message(response)}")

    def _request(self, method: str, path: str, what: str, body: Any = None) -> httpx.Response:
        """Return an answer of 2xx, 404 or 409; tries again while the API is away.

        Raises `Forbidden` where the service account may not, `Unavailable` at the end of the patience.
        """
        deadline_s = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                response = self._client.request(method, path, json=body, headers=self._authorization())
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if response.is_success or response.status_code in (404, 409):
                    return response
                problem = f"{response.status_code} {_message(response)}"
                if response.status_code < 500 and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    raise _refusal(response.status_code)(f"cannot {what}: {problem}")
            if time.monotonic() + wait_s > deadline_s:
                raise Unavailable(f"cannot {what}: the Kubernetes API at {self._url} is away: {problem}")
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _authorization(self) -> dict[str, str]:
        """Read anew each time: the kubelet renews the token."""
        try:
            return {"Authorization": f"Bearer {(self._folder / 'token').read_text().strip()}"}
        except OSError as error:
            raise InvalidSetting(f"{self._folder}/token cannot be read: {error.strerror}") from error


def _path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" + (f"/{name}" if name else "")


def _refusal(status: int) -> type[IotError]:
    return Forbidden if status in (401, 403) else InvalidSetting


def _message(response: httpx.Response) -> str:
    """The API's own sentence, which names account, verb and resource."""
    try:
        return str(msgspec.json.decode(response.content)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.text[:200]
