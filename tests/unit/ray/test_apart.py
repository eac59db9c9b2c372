"""Who should not be where Ray's head is."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.adapters.ray.apart import should_leave_head
from iot_system.adapters.ray.machines import MACHINE, NODE_RESOURCE


def node(name: str, machine: str | None, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Labels": {} if machine is None else {MACHINE: machine}, "Resources": resources}


HEAD = node("head", "a", **{"node:__internal_head__": 1.0})
UNKNOWN_HEAD = node("head", None, **{"node:__internal_head__": 1.0})
HOST = {NODE_RESOURCE: 1.0}
HERE = node("here", "a", **HOST)


@pytest.mark.parametrize(
    ("nodes", "should"),
    [
        ([HEAD, HERE, node("there", "b", **HOST)], True),
        ([HEAD, HERE, node("beside", "a", **HOST), node("there", "b", **HOST)], True),
        ([HEAD, HERE], False),
        ([HEAD, HERE, node("beside", "a", **HOST)], False),
        ([HEAD, HERE, node("no host", "b")], False),
        ([HEAD, HERE, node("unknown", None, **HOST)], False),
        ([UNKNOWN_HEAD, HERE, node("there", "b", **HOST)], False),
        ([HERE, node("there", "b", **HOST)], False),
        ([HEAD, node("here", "b", **HOST), node("there", "c", **HOST)], False),
        ([HEAD, node("here", None, **HOST), node("there", "b", **HOST)], False),
    ],
)
def test_who_is_beside_the_head_leaves_for_another_machine_that_may_host(
    nodes: list[dict[str, Any]], should: bool
) -> None:
    assert should_leave_head("here", nodes) is should
