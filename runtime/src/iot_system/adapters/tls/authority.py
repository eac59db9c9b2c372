"""A certificate authority of the installation's own: makes itself, signs, and says what certificates hold (RFC 5280).

Everything is PEM in memory; keys are P-256. Python 3.13 and Go refuse a CA without a critical key usage, and want key
identifiers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iot_system.errors import InvalidInput

CA_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
BACKDATED = timedelta(minutes=5)
"""A certificate is valid from so long before it is made: clocks of nodes differ."""
PURPOSES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class Identity(msgspec.Struct, frozen=True):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class Contents(msgspec.Struct, frozen=True):
    """What a certificate says. ``hosts`` are DNS names and addresses, ``left`` is what is left of its life, 0 to 1."""

    name: str
    hosts: frozenset[str]
    made: datetime
    ends: datetime
    left: float


def new_ca(name: str, now: datetime) -> Identity:
    """A CA that signs itself, for `CA_LIFE`. Its subject is unique: two of them never look alike in a bundle."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = _subject(f"{name} {serial:040x}"[:64])
    public = key.public_key()
    built = (
        _certificate(subject, subject, public, serial, now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, SHA256())
    )
    return _identity(built, key)


def sign(ca: Identity, name: str, hosts: Sequence[str], now: datetime, life: timedelta = LIFE) -> Identity:
    """A new key, and for it a certificate for servers and clients that ends with its CA at the latest.

    ``name`` becomes the common name, ``hosts`` are DNS names (also ``*.…``) and addresses. Raises `InvalidInput`.
    """
    issuer, signing = _read(ca.certificate), _read_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + life, issuer.not_valid_after_utc)
    serial = x509.random_serial_number()
    try:
        built = (
            _certificate(_subject(name), issuer.subject, key.public_key(), serial, now, ends)
            .add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(PURPOSES, critical=False)
            .add_extension(_authority_key(issuer), critical=False)
            .sign(signing, SHA256())
        )
    except ValueError as error:
        raise InvalidInput(f"no certificate can be signed for {name!r}, {', '.join(hosts)}: {error}") from error
    return _identity(built, key)


def contents(certificate: bytes, now: datetime) -> Contents:
    """Raises `InvalidInput` where this is no certificate in PEM."""
    found = _read(certificate)
    starts, ends = found.not_valid_before_utc, found.not_valid_after_utc
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Contents(
        name=str(common[0].value) if common else "",
        hosts=frozenset((*names.get_values_for_type(x509.DNSName), *map(str, _addresses(names)))),
        made=starts + BACKDATED,
        ends=ends,
        left=max(timedelta(), ends - now) / (ends - starts),
    )


def is_signed_by(certificate: bytes, ca: bytes) -> bool:
    """Raises `InvalidInput` where one of them is no certificate in PEM."""
    try:
        _read(certificate).verify_directly_issued_by(_read(ca))
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def check_identity(identity: Identity) -> None:
    """Raises `InvalidInput` unless these are a certificate and its key."""
    if _read(identity.certificate).public_key() != _read_key(identity.key).public_key():
        raise InvalidInput("the key is not that of the certificate")


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    serial: int,
    now: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the issuer names its key, which need not be by its hash."""
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier(_digest_of(issuer), None, None)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _digest_of(issuer: x509.Certificate) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _addresses(names: x509.SubjectAlternativeName) -> Sequence[object]:
    return names.get_values_for_type(x509.IPAddress)


def _identity(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Identity:
    return Identity(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _read(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInput("this is no certificate in PEM") from error


def _read_key(pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("this is no private key in PEM without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise InvalidInput("the key is neither EC nor RSA")
    return key
