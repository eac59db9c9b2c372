"""Runs of the command that makes certificates, and who trusts whom after them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from iot_system.commands.certificates import Certificates, read_wanted_certificates
from iot_system.commands.kubernetes import Kubernetes

from tests.unit.commands.kubernetes_api import KubernetesApi

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HERE, CA, RAY = "here", "tls-ca", "ray-ca"
SIGNED = {
    "nats-tls": {"name": "nats", "hosts": ["nats-service", "127.0.0.1"]},
    "api-tls": {"name": "api", "hosts": ["api"]},
}
WANTED = {"authority": CA, "signed": SIGNED, "separate": [RAY]}
Held = dict[str, str]


def run(api: KubernetesApi, now: datetime, wanted: Any = WANTED) -> None:
    """One run of the command, as of ``now``."""
    read = read_wanted_certificates(json.dumps(wanted))
    assert read is not None
    with Kubernetes(url=api.url, folder=api.folder) as kubernetes:
        Certificates(kubernetes, HERE, read, now).make()


def held(api: KubernetesApi) -> dict[str, Held]:
    """What is signed, as pods see it."""
    return {name: api.values(HERE, name) for name in SIGNED}


def cas(values: Held) -> int:
    """How many CAs a secret trusts."""
    return len(x509.load_pem_x509_certificates(values["ca.crt"].encode()))


def trusts(one: Held, other: Held, host: str, now: datetime) -> bool:
    """Whether who holds ``one`` accepts the certificate of ``other`` for a server of this name."""
    store = Store(x509.load_pem_x509_certificates(one["ca.crt"].encode()))
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(host))
    try:
        verifier.verify(x509.load_pem_x509_certificate(other["tls.crt"].encode()), [])
    except VerificationError:
        return False
    return True
