"""Reads what a verified client's certificate says (RFC 5280) from the connection that it was shown on."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

from iot_system.domain.certificates import DEVICE_URI, ClientCertificate
from iot_system.domain.ids import is_id


def certificate_of(transport: asyncio.BaseTransport) -> ClientCertificate | None:
    """None without TLS, and for a client that has shown none."""
    encrypted = transport.get_extra_info("ssl_object")
    found: dict[str, Any] | None = None if encrypted is None else encrypted.getpeercert()
    if not found:
        return None
    return ClientCertificate(
        device=_device(found),
        serial=serial_of(str(found["serialNumber"])),
        expires_us=int(ssl.cert_time_to_seconds(str(found["notAfter"]))) * 1_000_000,
    )


def serial_of(text: str) -> str:
    """A serial number in its one form; digits may be in pairs, with colons between. Raises `ValueError`."""
    return f"{int(text.replace(':', ''), 16):X}"


def _device(certificate: dict[str, Any]) -> str | None:
    """By the URI, else by the subject's common name. Two of a kind name nobody: which one would be meant?"""
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    named = [value.removeprefix(DEVICE_URI) for value in uris if value.startswith(DEVICE_URI)]
    return _only(named) if named else _only(_common_names(certificate))


def _common_names(certificate: dict[str, Any]) -> Iterable[str]:
    return [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]


def _only(names: Iterable[str]) -> str | None:
    match list(names):
        case [str(name)] if is_id(name):
            return name
        case _:
            return None
