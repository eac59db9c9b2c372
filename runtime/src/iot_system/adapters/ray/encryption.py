"""TLS between Ray's processes: each node has a certificate of its own, signed when it starts by a CA that is Ray's alone.

Ray verifies the address that it connects to, and a pod has another one each time. So every Ray node has the CA's key: it
opens nothing but Ray, on which whoever is a node can run anything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iot_system.errors import InvalidSetting

OWN_NAMES = ("localhost", "127.0.0.1")
"""By which the processes of one node reach each other."""
CLOCKS_DIFFER = timedelta(hours=1)


def encrypted(ca: Path, ca_key: Path, names: Sequence[str], folder: Path) -> dict[str, str]:
    """Make key and certificate of the node that is reached by ``names`` in ``folder`` → Ray's variables.

    It is good as long as the CA (PEM). Ray reads the variables when it is imported. Raises `InvalidSetting`.
    """
    try:
        authority = x509.load_pem_x509_certificate(ca.read_bytes())
        signer = load_pem_private_key(ca_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidSetting(f"IOT_RAY_TLS_CA ({ca}) and IOT_RAY_TLS_CA_KEY ({ca_key}) cannot be used: {error}") from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != authority.public_key():
        raise InvalidSetting(f"IOT_RAY_TLS_CA_KEY ({ca_key}) is not the EC key of IOT_RAY_TLS_CA ({ca})")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node of Ray")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(authority.not_valid_before_utc, datetime.now(UTC) - CLOCKS_DIFFER))
        .not_valid_after(authority.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([_name(one) for one in dict.fromkeys([*names, *OWN_NAMES])]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    files = {"RAY_TLS_SERVER_CERT": folder / "ray.crt", "RAY_TLS_SERVER_KEY": folder / "ray.key"}
    files["RAY_TLS_SERVER_KEY"].touch(mode=0o600)
    files["RAY_TLS_SERVER_KEY"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files["RAY_TLS_SERVER_CERT"].write_bytes(certificate.public_bytes(Encoding.PEM))
    return {"RAY_USE_TLS": "1", "RAY_TLS_CA_CERT": str(ca)} | {name: str(path) for name, path in files.items()}


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
