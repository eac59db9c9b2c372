"""Who answers to whom: attempts to connect, made here or, as a program, in a pod. Needs the standard library alone.

    python attempts.py '[["10.244.0.7", 5432, "TCP", false], …]' 20

tries all addresses, again until each is reached or not as the last word says, at most for as many seconds; it prints
what came of the last time, in the same order: `[false, …]`. Policies are enforced some time after a pod has begun.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ANSWER_S = 3.0
"""Some networks drop what they do not let through."""
AT_ONCE = 64
AGAIN_S = 0.5
QUESTION = bytes.fromhex("0001 0100 0001 0000 0000 0000 00 0002 0001")
"""To a name server: who serves the root (RFC 1035, section 4)."""


def is_reached(host: str, port: int, protocol: str = "TCP") -> bool:
    """Whether somebody is there: accepts a connection, or answers the question of a name server's client."""
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as client:
        client.settimeout(ANSWER_S)
        try:
            client.connect((host, port))
            if protocol == "UDP":
                client.send(QUESTION)
                client.recv(512)
        except OSError:
            return False
    return True


def main(asked: str, within_s: str) -> None:
    """As the module says."""
    deadline = time.monotonic() + float(within_s)
    *address, wanted = zip(*json.loads(asked), strict=True)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while (found := tuple(threads.map(is_reached, *address))) != wanted and time.monotonic() < deadline:
            time.sleep(AGAIN_S)
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
