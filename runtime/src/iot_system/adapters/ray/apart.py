"""An actor apart from Ray's head: whoever decides that a shard is lost must not be lost with who starts it again.

Ray decides once where an actor may run. But the first pod of an installation may be beside the head, and the head may
come to the actor's machine; so the actor looks again and again, and ends where it could be elsewhere, to be made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import ray
import structlog
from ray.util.scheduling_strategies import NodeLabelSchedulingStrategy, NotIn

from iot_system.adapters.ray.machines import MACHINE, NODE_RESOURCE
from iot_system.adapters.ray.placement import Head
from iot_system.errors import Unavailable

CHECK_S = 2.0
CHECKS = 3
"""A pod that comes or goes passes by; who is beside the head for so many checks leaves."""
_HEAD = "node:__internal_head__"
"""The resource by which Ray marks its head."""
log = structlog.get_logger()


def apart_from_head() -> dict[str, Any]:
    """Options of an actor that should not run on the machine of Ray's head, where there is another. Asks the head."""
    machine = _machine_of_head(_nodes())
    if machine is None:
        return {}
    return {"scheduling_strategy": NodeLabelSchedulingStrategy(hard={}, soft={MACHINE: cast("Any", NotIn)(machine)})}


async def stay_apart() -> None:
    """Runs in an actor's process: ends the actor for good once it should, and could, be on another machine.

    Whoever calls it is told that it is `iot_system.adapters.ray.host.Gone`, and makes it anew.
    """
    head, context = Head(), ray.get_runtime_context()
    here, itself = context.get_node_id(), context.current_actor
    beside = 0
    while True:
        await asyncio.sleep(CHECK_S)
        try:
            beside = beside + 1 if should_leave_head(here, await head.ask(_nodes)) else 0
            if beside >= CHECKS:
                log.info("leaves the machine of Ray's head")
                await head.ask(partial(ray.kill, itself, no_restart=True))
        except Unavailable:
            beside = 0
        except Exception:
            log.exception("nobody can tell where Ray's head is")
            beside = 0


def should_leave_head(node: str, nodes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether ``node`` is on the machine of Ray's head, and one that may host is on another; ``nodes`` are alive."""
    taken = _machine_of_head(nodes)
    machines = {one["NodeID"]: one["Labels"].get(MACHINE) for one in nodes if one["Resources"].get(NODE_RESOURCE)}
    return taken is not None and machines.get(node) == taken and bool(set(machines.values()) - {taken, None})


def _machine_of_head(nodes: Sequence[Mapping[str, Any]]) -> str | None:
    return next((one["Labels"].get(MACHINE) for one in nodes if _HEAD in one["Resources"]), None)


def _nodes() -> list[dict[str, Any]]:
    return [node for node in cast("Any", ray).nodes() if node["Alive"]]
