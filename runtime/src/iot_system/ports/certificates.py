"""Which certificates are not good any more, although they are signed and in their time."""

from __future__ import annotations

from typing import Protocol


class RevokedCertificates(Protocol):
    """Some seconds old at most."""

    def __contains__(self, serial: object) -> bool:
        """Whether a certificate's serial number, as `iot_system.domain.certificates` has it, is revoked."""
        ...
