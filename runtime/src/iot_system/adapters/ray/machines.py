"""Which machine a Ray node runs on, as a label of the node: pods that are lost together bear the same one."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import ray
from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

MACHINE = "iot-machine"
_HEAD = "node:__internal_head__"
"""The resource by which Ray marks its head."""


def label_of(machine: str | None) -> tuple[str, ...]:
    """The argument of ``ray start`` for a node on ``machine``, whose name may be longer than a label."""
    return () if machine is None else (f"--labels={MACHINE}={digest(machine)}",)


def digest(machine: str) -> str:
    """A machine's name as the value of a label."""
    return hashlib.sha256(machine.encode()).hexdigest()[:16]


def apart_from_head() -> dict[str, Any]:
    """Options of an actor that should not run on the machine of Ray's head, where there is another.

    Whoever decides that a shard is lost must not be lost with the head that would start him again. Asks the head.
    """
    head = next((node for node in cast("Any", ray).nodes() if node["Alive"] and _HEAD in node["Resources"]), None)
    machine = head["Labels"].get(MACHINE) if head else None
    if machine is None:
        return {}
    return {"scheduling_strategy": NodeLabelSchedulingStrategy(hard={}, soft={MACHINE: cast("Any", NotIn)(machine)})}
