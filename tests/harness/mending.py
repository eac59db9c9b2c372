"""Nodes as a run that was killed in the middle of a fault has left them."""

from __future__ import annotations

from collections.abc import Iterable

from chart_harness.freezing import THAW_ALL

from ci.command import CommandError
from tests.harness.errors import NotBreakableError
from tests.harness.faults import links
from tests.harness.nodes import JOIN, on_node, revive


def mend(nodes: Iterable[str]) -> None:
    """Undo every fault that a node can have; one that has none stays as it is."""
    for node in nodes:
        try:
            revive(node)
            on_node(node, "true")
        except (CommandError, NotBreakableError):
            continue  # it must be started or made anew, and has no fault then
        for script in (JOIN, *links.MENDING, THAW_ALL):
            on_node(node, script)
