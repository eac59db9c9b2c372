"""Probes."""

from __future__ import annotations

from typing import Any

import pytest
from chart_harness.rules.pods import PROBES, probes

from tests.render.rendered import PRODUCTION, Installation


def test_every_service_tells_whether_it_started_lives_and_is_ready_at_ports_that_it_opens(
    installation: Installation,
) -> None:
    assert [*probes(installation)] == []


def test_a_start_may_take_three_minutes_before_it_counts_as_failed(installation: Installation) -> None:
    for workload in installation.services:
        for container in workload.running:
            probe = container.spec["startupProbe"]
            assert probe["periodSeconds"] * probe["failureThreshold"] >= 180, container


def test_liveness_is_more_patient_than_readiness(installation: Installation) -> None:
    def patience(probe: dict[str, Any]) -> int:
        return int(probe["periodSeconds"]) * int(probe["failureThreshold"])

    for workload in installation.services:
        for container in workload.running:
            assert patience(container.spec["livenessProbe"]) > patience(container.spec["readinessProbe"]), container


def test_readiness_and_liveness_ask_different_questions(installation: Installation) -> None:
    for workload in installation.services:
        for container in workload.running:
            questions = [
                {**container.spec[probe].get("httpGet", {}), **container.spec[probe].get("exec", {})}
                for probe in ("livenessProbe", "readinessProbe")
            ]
            assert questions[0] != questions[1], container


def test_commands_that_end_have_no_probes(installation: Installation) -> None:
    for workload in installation.workloads:
        if not workload.serves:
            assert not any(container.spec.keys() & set(PROBES) for container in workload.containers), workload


@pytest.mark.parametrize(("servers", "question"), [(1, "/healthz"), (3, "/healthz?js-enabled-only=true")])
def test_a_broker_whose_disk_was_full_is_restarted_and_one_without_majority_is_not(servers: int, question: str) -> None:
    """A server without others does not switch JetStream off: see tests/contract/faults/test_full_broker.py."""
    sets = {"nats.replicas": servers, "global.stream.replicas": servers}
    nats = Installation("servers", (PRODUCTION,), sets).container("nats")
    assert nats.spec["livenessProbe"]["httpGet"]["path"] == question
