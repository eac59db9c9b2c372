"""What a load is told: one line of JSON on its standard input. It goes on until that ends, or its time is over."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from tests.harness.load.script import METRICS, Script

MOST_READINGS_A_SECOND = 50_000
MOST_SECONDS = 4 * 3600


class Device(msgspec.Struct, frozen=True):
    """Sends by MQTT as itself where it has a ``token``, else by REST.

    What goes by MQTT has numbers of its own where it ``is_numbered``, so that it is known when it comes again.
    """

    id: str
    token: str | None = None
    is_numbered: bool = True


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """``messages_a_second`` of each device, for ``seconds`` at most.

    They go to ``mqtt`` (host and port), or to REST at ``url`` with ``token``, where ``connections`` share the devices.
    ``trusted`` are certificates as PEM; without any nothing is encrypted. The ledger goes to the file ``log``.
    """

    url: str
    mqtt: tuple[str, int]
    token: str
    devices: list[Device]
    script: Script
    messages_a_second: float
    seconds: float
    log: str
    connections: int = 4
    trusted: str = ""

    def __post_init__(self) -> None:
        """Raises `ValueError` with a sentence, which is what an order with mistakes is answered by."""
        for name, host in (("url", urlsplit(self.url).hostname), ("mqtt", self.mqtt[0])):
            if not _is_near(host or ""):
                raise ValueError(
                    f"{name} is of {host}; a load goes to loopback or to a cluster's private address alone"
                )
        if not 0 < self.readings_a_second <= MOST_READINGS_A_SECOND:
            raise ValueError(
                f"{len(self.devices)} devices with {self.messages_a_second:g} messages_a_second are "
                f"{self.readings_a_second:,.0f} readings a second; the limit is {MOST_READINGS_A_SECOND:,}"
            )
        if not 0 < self.seconds <= MOST_SECONDS:
            raise ValueError(f"seconds is {self.seconds:g}; the limit is {MOST_SECONDS:,}")

    @property
    def readings_a_second(self) -> float:
        """Of all devices."""
        return len(self.devices) * self.messages_a_second * METRICS


class Cost(msgspec.Struct, frozen=True):
    """What a load tells at its end: how long it took, its own processor time, and readings acknowledged."""

    seconds: float
    cpu_s: float
    readings: int
    reconnections: int

    @property
    def cores(self) -> float:
        """How much of a processor it took."""
        return self.cpu_s / self.seconds


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
