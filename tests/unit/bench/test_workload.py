"""What the benchmark sends."""

from __future__ import annotations

import msgspec
from iot_system.domain.readings import parse_telemetry

from bench.workload import DEVICES, STEP_MS, Workload
from tests.harness.load.script import METRICS


def test_messages_bear_all_metrics_at_rising_times_within_the_workload() -> None:
    workload = Workload(steps=3, start_ms=1_700_000_000_000)
    told = [msgspec.json.decode(payload) for payload in workload.payloads(7)]
    parsed = [parse_telemetry("bench-007", one, now_us=2_000_000_000_000_000) for one in told]
    assert [one.time_us // 1000 for one in parsed] == [workload.start_ms + step * STEP_MS for step in range(3)]
    assert all(len(one.values) == METRICS for one in parsed)
    assert parsed[-1].time_us // 1000 < workload.end_ms


def test_the_count_is_of_all_devices() -> None:
    workload = Workload(steps=3, start_ms=0)
    assert (workload.messages, workload.readings) == (3 * DEVICES, 3 * DEVICES * METRICS)


def test_no_two_devices_say_the_same() -> None:
    workload = Workload(steps=1, start_ms=0)
    assert len({payload for number in range(DEVICES) for payload in workload.payloads(number)}) > DEVICES // 2
