"""Pods whose processes stand still, on nodes that are containers of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import chart_harness.freezing

from tests.harness.nodes import on_node


def frozen_pods(pods: Iterable[Mapping[str, Any]]) -> AbstractContextManager[None]:
    """As `chart_harness.freezing.frozen_pods`. Raises NotBreakableError where it cannot be done."""
    return chart_harness.freezing.frozen_pods(pods, on_node)
