"""When certificates and their CA are made anew: rules over what secrets hold, without Kubernetes.

What is signed has ``tls.crt``, ``tls.key``, and ``ca.crt`` with every CA that is to be trusted. The CA is replaced
without a moment in which two sides distrust each other, one step a run, and none before what the last one wrote has
been there for `OVERLAP`: first the new CA is trusted beside the old one, then it signs, then the old one goes. It signs
after `NOTICE`, or when it is asked for again: those outside of the installation must trust it by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from iot_system.adapters.tls.authority import Contents, Identity, check_identity, contents, is_signed_by, new_ca
from iot_system.commands.kubernetes import Secret
from iot_system.errors import InvalidInput

OVERLAP = timedelta(minutes=5)
"""Longer than the kubelet takes to bring a secret to its pods, and a server to read it."""
NOTICE = timedelta(days=30)
"""For people, who bring a new CA to devices before it signs."""
RENEW_AT = 1 / 3
"""The part of its life at which a certificate is made anew."""
CA_NAME = "iot-system"
CERTIFICATE, KEY, TRUSTED = "tls.crt", "tls.key", "ca.crt"
COMING_CERTIFICATE, COMING_KEY, LEAVING = "coming.crt", "coming.key", "leaving.crt"


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of a certificate: its common name; DNS names and addresses."""

    name: str
    hosts: list[str]


class Authority(msgspec.Struct, frozen=True):
    """The CA that signs; while it is replaced, also the one that is coming, or the certificate of the leaving one."""

    signing: Identity
    coming: Identity | None = None
    leaving: bytes | None = None

    @property
    def trusted(self) -> bytes:
        """The certificates of all CAs that count."""
        coming = b"" if self.coming is None else self.coming.certificate
        return self.signing.certificate + coming + (self.leaving or b"")

    def as_data(self) -> dict[str, bytes | None]:
        """The keys of its secret; None for those that it must not have."""
        coming = self.coming
        return {
            CERTIFICATE: self.signing.certificate,
            KEY: self.signing.key,
            COMING_CERTIFICATE: None if coming is None else coming.certificate,
            COMING_KEY: None if coming is None else coming.key,
            LEAVING: self.leaving,
        }


def read_authority(data: Mapping[str, bytes]) -> Authority:
    """Raises `InvalidInput` where a certificate or key is missing or cannot be used."""
    coming = read_identity(data, COMING_CERTIFICATE, COMING_KEY) if COMING_CERTIFICATE in data else None
    return Authority(read_identity(data), coming, data.get(LEAVING))


def read_identity(data: Mapping[str, bytes], certificate: str = CERTIFICATE, key: str = KEY) -> Identity:
    """Raises `InvalidInput` where one is missing, or they are no certificate and its key."""
    for name in (certificate, key):
        if name not in data:
            raise InvalidInput(f"it has no key {name!r}")
    identity = Identity(data[certificate], data[key])
    check_identity(identity)
    return identity


def next_step(authority: Authority, *, settled: bool, asked: bool, now: datetime) -> Authority:
    """What comes after ``authority``, mostly itself.

    ``settled``: all that it signs and trusts has long been everywhere; ``asked``: somebody wants another CA, or the
    next step of one that is coming.
    """
    left = contents(authority.signing.certificate, now).left
    if left <= 0:
        return Authority(new_ca(CA_NAME, now))
    if not settled:
        return authority
    if authority.coming is not None:
        if not asked and now < signs_from(authority.coming, now):
            return authority
        return Authority(authority.coming, leaving=authority.signing.certificate)
    if authority.leaving is not None:
        return Authority(authority.signing)
    if asked or left <= RENEW_AT:
        return Authority(authority.signing, coming=new_ca(CA_NAME, now))
    return authority


def signs_from(coming: Identity, now: datetime) -> datetime:
    """When the notice of a CA that is coming ends."""
    return contents(coming.certificate, now).made + NOTICE


def why_sign(found: Secret | None, wanted: Certificate, authority: Authority, now: datetime) -> str | None:
    """Why a certificate must be signed (again), as a person is told; None where it is good."""
    if found is None:
        return "made"
    if found.renew:
        return "made anew, as asked for"
    try:
        state = _state_of(found, authority, now)
    except InvalidInput as error:
        return f"made anew: {error}"
    if state is None:
        return "made anew: the CAs are others"
    if (state.name, state.hosts) != (wanted.name, frozenset(wanted.hosts)):
        return "made anew: the names are others"
    return "made anew: most of its life is over" if state.left <= RENEW_AT else None


def is_settled(found: Secret | None, wanted: Certificate, authority: Authority, now: datetime) -> bool:
    """Each change of the trusted CAs signs anew, so a certificate's age is also that of what it came with."""
    if found is None or why_sign(found, wanted, authority, now) is not None:
        return False
    return now - contents(found.data[CERTIFICATE], now).made >= OVERLAP


def _state_of(found: Secret, authority: Authority, now: datetime) -> Contents | None:
    """None where other CAs count than it says. Raises `InvalidInput`."""
    certificate = read_identity(found.data).certificate
    is_current = found.data.get(TRUSTED) == authority.trusted
    if not is_current or not is_signed_by(certificate, authority.signing.certificate):
        return None
    return contents(certificate, now)
