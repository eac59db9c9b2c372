"""The installation's own CA: what it signs is accepted by OpenSSL's strictest rules, and nothing else is."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from iot_system.adapters.tls.authority import (
    CA_LIFE,
    LIFE,
    Identity,
    check_identity,
    contents,
    is_signed_by,
    new_ca,
    sign,
)
from iot_system.errors import InvalidInput

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ("nats-service", "nats-service.iot.svc", "*.iot.example.org", "localhost", "127.0.0.1")
DAY = timedelta(days=1)


def context(purpose: int, own: Identity, trusted: bytes, folder: Path) -> ssl.SSLContext:
    """Shows ``own``, and wants a certificate that ``trusted`` verifies; strict as Python 3.13 is by default."""
    made = ssl.SSLContext(purpose)
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=trusted.decode())
    path = folder / "shown.pem"
    path.write_bytes(own.certificate + own.key)
    made.load_cert_chain(path)
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """A handshake of both in memory; the client's side. Raises `ssl.SSLError` where one refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(sides)
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
        if not waiting:
            return sides[0]
    raise AssertionError("the handshake does not end")


def meet(server: Identity, client: Identity, trusted: Sequence[Identity], host: str, folder: Path) -> ssl.SSLObject:
    bundle = b"".join(one.certificate for one in trusted)
    return shake_hands(
        context(ssl.PROTOCOL_TLS_SERVER, server, bundle, folder),
        context(ssl.PROTOCOL_TLS_CLIENT, client, bundle, folder),
        host,
    )


@pytest.mark.parametrize("host", [*HOSTS[:2], "api.iot.example.org", "127.0.0.1"])
def test_two_certificates_of_one_ca_accept_each_other_by_every_name(host: str, tmp_path: Path) -> None:
    ca = new_ca("test", NOW)
    met = meet(sign(ca, "nats", HOSTS, NOW), sign(ca, "api", ["api-service"], NOW), [ca], host, tmp_path)
    peer = met.getpeercert()
    assert peer is not None
    assert peer["subject"] == ((("commonName", "nats"),),)


def test_a_name_that_the_certificate_does_not_bear_is_refused(tmp_path: Path) -> None:
    ca = new_ca("test", NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        meet(sign(ca, "nats", HOSTS, NOW), sign(ca, "api", ["a"], NOW), [ca], "postgres", tmp_path)


def test_a_certificate_of_another_ca_is_refused_by_server_and_client(tmp_path: Path) -> None:
    ca, other = new_ca("test", NOW), new_ca("test", NOW)
    ours, theirs = sign(ca, "nats", HOSTS, NOW), sign(other, "nats", HOSTS, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(theirs, ours, [ca], "localhost", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(ours, theirs, [ca], "localhost", tmp_path)


def test_certificates_of_two_cas_accept_each_other_where_both_cas_are_trusted(tmp_path: Path) -> None:
    old, new = new_ca("test", NOW), new_ca("test", NOW)
    one, other = sign(old, "nats", HOSTS, NOW), sign(new, "nats", HOSTS, NOW)
    for server, client in ((one, other), (other, one)):
        for trusted in ([old, new], [new, old]):
            meet(server, client, trusted, "localhost", tmp_path)


@pytest.mark.parametrize("age", [LIFE + DAY, -2 * DAY])
def test_a_certificate_that_has_ended_or_not_begun_is_refused(age: timedelta, tmp_path: Path) -> None:
    ca = new_ca("test", NOW - LIFE - 2 * DAY)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"expired|not yet valid"):
        meet(sign(ca, "nats", HOSTS, NOW - age), sign(ca, "api", ["a"], NOW), [ca], "localhost", tmp_path)


def test_what_it_signs_is_no_ca_itself(tmp_path: Path) -> None:
    ca = new_ca("test", NOW)
    signed = sign(ca, "nats", HOSTS, NOW)
    forged = sign(signed, "nats", HOSTS, NOW)
    chained = Identity(forged.certificate + signed.certificate, forged.key)
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(chained, signed, [ca], "localhost", tmp_path)


def test_the_contents_of_a_certificate_are_what_was_signed() -> None:
    signed = sign(new_ca("test", NOW), "nats", HOSTS, NOW)
    found = contents(signed.certificate, NOW)
    assert (found.name, found.hosts, found.made, found.ends) == ("nats", frozenset(HOSTS), NOW, NOW + LIFE)
    assert found.left == pytest.approx(1, abs=0.001)
    assert contents(signed.certificate, NOW + LIFE / 2).left == pytest.approx(0.5, abs=0.001)
    assert contents(signed.certificate, NOW + LIFE).left == 0


def test_a_certificate_ends_with_its_ca_at_the_latest() -> None:
    ca = new_ca("test", NOW - CA_LIFE + DAY)
    assert contents(sign(ca, "nats", HOSTS, NOW).certificate, NOW).ends == NOW + DAY


def test_who_has_signed_is_known() -> None:
    ca, other = new_ca("test", NOW), new_ca("test", NOW)
    signed = sign(ca, "nats", HOSTS, NOW).certificate
    assert is_signed_by(signed, ca.certificate)
    assert not is_signed_by(signed, other.certificate)


def given_ca(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> Identity:
    """A CA that somebody else has made, without key identifiers."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "given")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 2 * LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256() if isinstance(key, rsa.RSAPrivateKey) else None)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Identity(built.public_bytes(Encoding.PEM), pem)


def test_a_given_ca_with_an_rsa_key_signs_too() -> None:
    ca = given_ca(rsa.generate_private_key(65537, 2048))
    assert is_signed_by(sign(ca, "ray", ["10.0.0.1"], NOW).certificate, ca.certificate)


@pytest.mark.parametrize(
    ("ca", "why"),
    [
        (Identity(b"", b""), "this is no certificate in PEM"),
        (Identity(new_ca("a", NOW).certificate, b"x"), "this is no private key in PEM without a password"),
        (given_ca(ed25519.Ed25519PrivateKey.generate()), "the key is neither EC nor RSA"),
        (Identity(new_ca("a", NOW).certificate, new_ca("b", NOW).key), "the key is not that of the certificate"),
    ],
    ids=["nothing", "no key", "another kind of key", "another key"],
)
def test_what_is_no_ca_is_told_in_one_sentence(ca: Identity, why: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_identity(ca)
    assert str(refusal.value) == why


def test_a_name_that_no_certificate_can_bear_is_told_in_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="no certificate can be signed for 'nats', häuser"):
        sign(new_ca("test", NOW), "nats", ["häuser"], NOW)
