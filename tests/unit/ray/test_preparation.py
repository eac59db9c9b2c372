"""What Ray is told before it is imported."""

from __future__ import annotations

import os

import pytest
from iot_system.__main__ import _prepare_ray
from iot_system.settings import RayHeadSettings

WAITS_FOR = "RAY_gcs_rpc_server_reconnect_timeout_s"


def test_a_head_that_is_away_for_minutes_ends_neither_this_process_nor_its_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With Ray's own minute, all actor-system pods ended together where the head's node was lost for longer."""
    for name in (WAITS_FOR, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    _prepare_ray(RayHeadSettings())
    assert int(os.environ[WAITS_FOR]) == 24 * 3600
