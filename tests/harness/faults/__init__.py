"""The faults: what is broken on purpose, how, and what that may cost. Nothing else lists them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager

from tests.harness import nodes
from tests.harness.faults import changes, links, pods
from tests.harness.faults.machines import lost
from tests.harness.faults.scene import Fault, Scene, combined

HOLDS_S = 20.0
"""How long lasts what the system works in spite of."""


def _all(limit_s: float) -> dict[str, float]:
    return dict.fromkeys(("mqtt_s", "rest_s", "visible_s"), limit_s)


def _together(scene: Scene) -> AbstractContextManager[Collection[str]]:
    """Something is killed while something else is in a bad way."""
    return combined(scene.random.choice(LASTING), scene.random.choice(KILLING))(scene)


KILLING = (
    Fault("postgres-crash", {"visible_s": 35}, pods.killed_postgres),
    Fault("postgres-primary", {"visible_s": 35}, pods.killed(pods.primary)),
    Fault("nats-leader", _all(5), pods.killed(pods.leader)),
    Fault("api-pod", _all(2), pods.killed(pods.any_pod("api"))),
    Fault("actor-system-pod", {"visible_s": 10}, pods.killed(pods.any_pod("actor-system"))),
    Fault("actor-process", {"visible_s": 10}, pods.killed_process),
    Fault("ray-head", {"visible_s": 2, "ready_s": 60}, pods.killed(pods.any_pod("ray-head"))),
)
LASTING = (
    Fault("slow-links", {"visible_s": 60}, links.slow, HOLDS_S),
    Fault("lossy-links", {"visible_s": 60}, links.lossy, HOLDS_S),
    Fault("dns", _all(5), links.dns, HOLDS_S),
)
FREEZING = (
    Fault("postgres-frozen", {"visible_s": 60}, pods.frozen(pods.primary)),
    Fault("nats-frozen", _all(60), pods.frozen(pods.leader)),
    Fault("api-frozen", _all(60), pods.frozen(pods.any_pod("api"))),
    Fault("actor-system-frozen", {"visible_s": 60}, pods.frozen(pods.any_pod("actor-system"))),
)
FAULTS = (
    Fault("postgres-switchover", {"visible_s": 10}, pods.switched_over),
    *KILLING,
    Fault("coordinator", {"visible_s": 10}, pods.killed_coordinator),
    *FREEZING,
    *LASTING,
    Fault("kubernetes-api", {"visible_s": 60}, links.kubernetes_api, HOLDS_S),
    Fault("together", {"visible_s": 60}, _together, HOLDS_S),
    Fault("node", _all(60), lost(nodes.frozen), of_many=True),
    Fault("node-stopped", _all(60), lost(nodes.stopped)),
    Fault("node-cut-off", _all(60), lost(nodes.cut_off)),
    Fault("secrets-rotated", _all(5), changes.rotated, HOLDS_S, of_many=True),
    Fault("scale", {"mqtt_s": 1, "rest_s": 1}, changes.scaled),
    Fault("rolled-in-turn", {"mqtt_s": 1, "rest_s": 1}, changes.rolled_in_turn, of_many=True),
    Fault("upgrade", {"mqtt_s": 1, "rest_s": 1}, changes.upgraded),
    Fault("rollback", {"mqtt_s": 1, "rest_s": 1}, changes.rolled_back, of_many=True),
    Fault("upgrade-interrupted", {"visible_s": 60}, changes.interrupted),
)
