"""The few calls to the Kubernetes API that a job needs: what is in a secret, make it, and change it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import msgspec
from msgspec import Meta

from iot_system.errors import Conflict, Forbidden, InvalidInput, InvalidSetting, IotError, Unavailable, reason_of

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API_URL = "https://kubernetes.default.svc"
PATIENCE_S = 120.0
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
TIMEOUT_S = 10.0
ATTEMPTS = 5
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
T = TypeVar("T")
OPAQUE, TLS = "Opaque", "kubernetes.io/tls"
RENEW = "iot-system/renew"
"""Annotation of a secret: keys that are to be made anew, with commas between. It goes when that is done."""
_CONTENT_TYPES = {"POST": "application/json", "PATCH": "application/merge-patch+json"}


class Secret(msgspec.Struct, frozen=True):
    """What a secret holds, and which keys its annotation `RENEW` wants anew; ``version`` changes with every change."""

    data: Mapping[str, bytes]
    renew: frozenset[str]
    version: str

    def texts(self) -> dict[str, str]:
        """The values as text, from which `as_data` makes the same bytes, whatever they are."""
        return {key: value.decode(errors="surrogateescape") for key, value in self.data.items()}


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    annotations: dict[str, str] = {}


class _SecretObject(msgspec.Struct, frozen=True):
    """As the API writes it: `bytes` are Base64 in JSON, for msgspec too."""

    metadata: _Metadata
    data: dict[str, bytes] = {}


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
        # Python 3.13 insists on key identifiers, which certificates of some clusters do not have (EKS, MicroK8s).
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._client = httpx.Client(base_url=url, verify=trusted, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Kubernetes:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read_secret(self, namespace: str, name: str) -> Secret | None:
        """None where there is none."""
        response = self._request("GET", _path(namespace, name), f"read secret {name!r} in namespace {namespace!r}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        found = msgspec.json.decode(response.content, type=_SecretObject)
        renew = found.metadata.annotations.get(RENEW)
        keys = frozenset() if renew is None else frozenset(key.strip() for key in renew.split(","))
        return Secret(found.data, keys, found.metadata.resource_version)

    def create_secret(self, namespace: str, name: str, data: Mapping[str, bytes], kind: str = OPAQUE) -> None:
        """``kind`` is the secret's type. Raises `Conflict` where it exists already."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "iot-system"}},
            "type": kind,
            "data": data,
        }
        what = f"create secret {name!r} in namespace {namespace!r}"
        response = self._request("POST", _path(namespace), what, manifest)
        if response.status_code == httpx.codes.CONFLICT:
            raise Conflict(f"secret {name!r} exists already")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise InvalidSetting(f"cannot {what}: {_message(response)}")

    def change_secret(
        self, namespace: str, name: str, found: Secret, data: Mapping[str, bytes | None], *, renewed: bool
    ) -> None:
        """Replace these keys, and delete those with None; all others stay. ``renewed``: as was asked for.

        Raises `Conflict` where the secret is not as it was ``found`` any more.
        """
        metadata: dict[str, Any] = {"resourceVersion": found.version}
        if renewed:
            metadata["annotations"] = {RENEW: None}
        what = f"change secret {name!r} in namespace {namespace!r}"
        response = self._request("PATCH", _path(namespace, name), what, {"metadata": metadata, "data": data})
        if response.status_code in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
            raise Conflict(f"secret {name!r} was changed by another at the same time")

    def _request(self, method: str, path: str, what: str, body: Any = None) -> httpx.Response:
        """Return an answer of 2xx, 404 or 409; tries again while the API is away.

        Raises `Forbidden` where the service account may not, `Unavailable` at the end of the patience.
        """
        content = b"" if body is None else msgspec.json.encode(body)
        deadline_s = time.monotonic() + self._patience_s
        wait_s = FIRST_WAIT_S
        while True:
            try:
                response = self._client.request(method, path, content=content, headers=self._headers(method))
            except httpx.TransportError as error:
                problem = reason_of(error)
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

    def _headers(self, method: str) -> dict[str, str]:
        """The token is read anew each time: the kubelet renews it."""
        kinds = {"Content-Type": _CONTENT_TYPES[method]} if method in _CONTENT_TYPES else {}
        try:
            return kinds | {"Authorization": f"Bearer {(self._folder / 'token').read_text().strip()}"}
        except OSError as error:
            raise InvalidSetting(f"{self._folder}/token cannot be read: {error.strerror}") from error


def until_agreed(work: Callable[[], T]) -> T:
    """Do it again where another has changed meanwhile what it began with. Raises `Conflict` when that never ends."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except Conflict:
            continue
    return work()


def do_all(works: Iterable[Callable[[], None]]) -> None:
    """Do each. Raises the first `InvalidInput` when all are done: what nobody can use keeps nothing else waiting."""
    refusals: list[InvalidInput] = []
    for work in works:
        try:
            work()
        except InvalidInput as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]


def as_data(values: Mapping[str, str]) -> dict[str, bytes]:
    """Values of a secret that are text, as the API wants them."""
    return {key: value.encode(errors="surrogateescape") for key, value in values.items()}


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
