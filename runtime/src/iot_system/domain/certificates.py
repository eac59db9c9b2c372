"""What a client's certificate says. That it is signed and in its time was checked before."""

from __future__ import annotations

import msgspec

DEVICE_URI = "urn:iot-system:device:"
"""Before a device's id, in a subject alternative name of type URI."""


class ClientCertificate(msgspec.Struct, frozen=True):
    """``device`` is the id of the device that it names, None where it names none.

    ``serial`` is in hexadecimal digits, capital and without leading zeros; ``expires_us`` counts from 1970.
    """

    device: str | None
    serial: str
    expires_us: int
