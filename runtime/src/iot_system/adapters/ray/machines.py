"""What a Ray node says of itself: whether it may host, and its machine. Pods on one are lost together."""

from __future__ import annotations

import hashlib

NODE_RESOURCE = "iot_node"
"""Nodes that may host shards and the coordinator offer this; the head does not."""
MACHINE = "iot-machine"
"""A label of the node."""


def label_of(machine: str | None) -> tuple[str, ...]:
    """The argument of ``ray start`` for a node on ``machine``, whose name may be longer than a label."""
    return () if machine is None else (f"--labels={MACHINE}={digest(machine)}",)


def digest(machine: str) -> str:
    """A machine's name as the value of a label."""
    return hashlib.sha256(machine.encode()).hexdigest()[:16]
