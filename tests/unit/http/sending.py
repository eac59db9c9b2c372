"""What tests of telemetry send, and what the gateway has then."""

from __future__ import annotations

from iot_system.domain.readings import Value

from tests.unit.http.serving import Served

TS = 1_700_000_000_000
NDJSON = {"Content-Type": "application/x-ndjson"}
MSGPACK = {"Content-Type": "application/msgpack"}


def stored(served: Served) -> dict[tuple[str, str, int], Value]:
    """What the gateway holds: (device, metric, ms) → value."""
    return {(one.device, one.metric, one.time_us // 1000): one.value for one in served.gateway.history.values()}
