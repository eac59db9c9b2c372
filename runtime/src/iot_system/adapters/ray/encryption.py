"""TLS between Ray's processes: each node has its own certificate, signed when it starts by a CA that is Ray's alone.

Ray verifies the address that it connects to, and a pod has another one each time. So every Ray node has the CA's key:
it opens nothing but Ray, on which whoever is a node can run anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from iot_system.adapters.tls.authority import CA_LIFE, Identity, check_identity, sign
from iot_system.errors import InvalidInput, InvalidSetting

NAME = "node of Ray"
"""Not the CA's, or the certificate would look as if it had signed itself."""
OWN_HOSTS = ("localhost", "127.0.0.1")
"""Where the processes of one node reach each other."""


def encrypted(ca: Path, ca_key: Path, hosts: Sequence[str], folder: Path) -> dict[str, str]:
    """Make the key of the node that is reached at ``hosts`` in ``folder`` → Ray's variables, read when it is imported.

    Its certificate is good as long as the CA. Raises `InvalidSetting`.
    """
    try:
        authority = Identity(ca.read_bytes(), ca_key.read_bytes())
        check_identity(authority)
        own = sign(authority, NAME, [*hosts, *OWN_HOSTS], datetime.now(UTC), CA_LIFE)
    except (OSError, InvalidInput) as error:
        raise InvalidSetting(f"IOT_RAY_TLS_CA ({ca}) and IOT_RAY_TLS_CA_KEY ({ca_key}): {error}") from error
    certificate, key = folder / "ray.crt", folder / "ray.key"
    certificate.write_bytes(own.certificate)
    key.touch(mode=0o600)
    key.write_bytes(own.key)
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(certificate),
        "RAY_TLS_SERVER_KEY": str(key),
        "RAY_TLS_CA_CERT": str(ca),
    }
