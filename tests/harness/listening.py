"""The ports that a pod listens on, as the kernel of its node says."""

from __future__ import annotations

import ipaddress

from chart_harness.cluster import Namespace

from tests.harness import beside
from tests.harness.policies import Port

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
READ = "import pathlib, sys; print(*(pathlib.Path(one).read_text() for one in sys.argv[1:]))"
LISTENS = "0A"
"""The state of a socket in these tables: see proc(5), and TCP_LISTEN."""


def listening(namespace: Namespace, pod: str) -> set[Port]:
    """TCP ports that are open to more than the pod itself."""
    return ports_in(beside.run(namespace, pod, beside.python_image(namespace), READ, *TABLES))


def ports_in(tables: str) -> set[Port]:
    """From the kernel's tables, one behind the other."""
    rows = [line.split() for line in tables.splitlines() if ":" in line]
    listening = [row[1].split(":") for row in rows if row[3] == LISTENS]
    return {("TCP", int(port, 16)) for address, port in listening if not _address(address).is_loopback}


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Words of 32 bits, each in the order of the processor: little-endian here."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
