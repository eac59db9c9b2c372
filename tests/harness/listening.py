"""The ports that a pod listens on, as the kernel of its node says."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from tests.harness.cluster import Namespace
from tests.harness.policies import Port
from tests.harness.waiting import wait_until

WITHIN_S = 120.0
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
READ = "import pathlib, sys; print(*(pathlib.Path(one).read_text() for one in sys.argv[1:]))"
LISTENS = "0A"
"""The state of a socket in these tables: see proc(5), and TCP_LISTEN."""
NAME = "ports"


def listening(namespace: Namespace, pod: str) -> set[Port]:
    """TCP ports that are open to more than the pod itself.

    A container beside the others, from the image of the API, which has Python and no shell: so it works for pods whose
    own image has nothing but one program.
    """
    image = namespace.pods("api")[0]["spec"]["containers"][0]["image"]
    command = ("debug", pod, f"--image={image}", f"--container={NAME}", "--profile=restricted", "--quiet")
    namespace.kubectl(*command, "--image-pull-policy=IfNotPresent", "--", "python", "-c", READ, *TABLES)
    wait_until(lambda: _has_ended(namespace.read("pod", pod)), within_s=WITHIN_S, every_s=0.5, why="no ports were read")
    return ports_in(namespace.kubectl("logs", pod, f"--container={NAME}"))


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


def _has_ended(pod: dict[str, Any]) -> bool:
    states = {one["name"]: one["state"] for one in pod["status"].get("ephemeralContainerStatuses", [])}
    ended = states.get(NAME, {}).get("terminated")
    assert ended is None or ended["exitCode"] == 0, json.dumps(ended)
    return ended is not None
