"""Certificate authorities and what they sign, made for a test; nothing of it is kept."""

from __future__ import annotations

import ipaddress
import os
import shutil
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
HOSTS = ("localhost", "127.0.0.1")


class Signed(msgspec.Struct, frozen=True):
    """A certificate and its key, as files."""

    certificate: str
    key: str
    serial: str

    def replace_with(self, other: Signed) -> None:
        """Take its place, as a mounted secret that is replaced: each file at once, one after the other."""
        for mine, its in ((self.certificate, other.certificate), (self.key, other.key)):
            replace(mine, its)


class Authority:
    """A CA whose certificate is the file ``ca``; what it signs stands beside it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._count = 0
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        public = self._key.public_key()
        built = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)  # Python 3.13 accepts no CA without it
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._certificate = built
        self.ca = str(folder / f"{name}.ca.pem")
        Path(self.ca).write_bytes(built.public_bytes(Encoding.PEM))

    def server(self, *, hosts: Sequence[str] = HOSTS) -> Signed:
        """For ``hosts``, names or addresses."""
        return self._sign("server", [_host(one) for one in hosts], for_clients=False)

    def client(
        self,
        name: str | None,
        *,
        uris: Sequence[str] = (),
        starts: timedelta = -DAY,
        ends: timedelta = DAY,
        for_clients: bool = True,
    ) -> Signed:
        """With the common name ``name``; good from ``starts`` to ``ends``, counted from now."""
        names = [x509.UniformResourceIdentifier(one) for one in uris]
        return self._sign(name, names, starts=starts, ends=ends, for_clients=for_clients)

    def _sign(
        self,
        name: str | None,
        names: Sequence[x509.GeneralName],
        *,
        for_clients: bool,
        starts: timedelta = -DAY,
        ends: timedelta = DAY,
    ) -> Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        now, serial = datetime.now(UTC), x509.random_serial_number()
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if for_clients else ExtendedKeyUsageOID.SERVER_AUTH
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now + starts)
            .not_valid_after(now + ends)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not name)
        self._count += 1
        stem = self._folder / f"{Path(self.ca).name.removesuffix('.ca.pem')}-{self._count}"
        signed = Signed(f"{stem}.pem", f"{stem}.key", f"{serial:X}")
        Path(signed.certificate).write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(signed.key).touch(mode=0o600)
        Path(signed.key).write_bytes(pem)
        return signed

    def context(self, shown: Signed | None = None) -> ssl.SSLContext:
        """For a client that trusts this CA, and shows ``shown``."""
        context = ssl.create_default_context(cafile=self.ca)
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return context


def mount(folder: Path, shown: Signed, ca: str) -> None:
    """Write what pods find of their secret of type kubernetes.io/tls: each file at once, one after the other."""
    for name, source in (("tls.crt", shown.certificate), ("tls.key", shown.key), ("ca.crt", ca)):
        replace(str(folder / name), source)


def replace(path: str, source: str) -> None:
    """Give a file what another one holds, at once."""
    new = f"{path}.new"
    shutil.copy(source, new)
    os.replace(new, path)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
