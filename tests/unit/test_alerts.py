"""The rules for Prometheus that the documentation shows ask for figures that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from iot_system.services import fullness, intake, shard_metrics
from prometheus_client import REGISTRY

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
FIGURE = re.compile(r"\b((?:iot|kubelet|kube)_[a-z_]+)(?:\{(\w+)=)?")
ABSENT_FOR_EVER = "kube_cronjob_status_last_successful_time"
"""There is none of a CronJob that has never succeeded."""
LABELS = {
    "iot_gateway_messages_total": intake.MESSAGES,
    **dict.fromkeys(("iot_stream_bytes", "iot_stream_limit_bytes", "iot_stream_oldest_seconds"), fullness.BYTES),
    **dict.fromkeys(
        ("iot_shard_store_away", "iot_shard_lag_frames", "iot_database_unarchived_seconds"), shard_metrics.AWAY
    ),
}


def rules() -> list[dict[str, Any]]:
    [text] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_each_rule_has_a_name_a_question_and_a_sentence() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) > 0
    for rule in found:
        assert rule["annotations"]["summary"].endswith((".", "left.")), rule
        for pair in ("()", "{}", "[]"):
            assert rule["expr"].count(pair[0]) == rule["expr"].count(pair[1]), rule


def test_figures_of_ours_in_rules_and_in_the_table_are_served_with_these_labels() -> None:
    served = {metric.name + ("_total" if metric.type == "counter" else "") for metric in REGISTRY.collect()}
    asked = [match for rule in rules() for match in FIGURE.findall(rule["expr"])] + FIGURE.findall(PAGE)
    ours = [(name, label) for name, label in asked if name.startswith("iot_")]
    assert {name for name, _ in ours} - served == set()
    for name, label in ours:
        assert not label or label in LABELS[name]._labelnames, name


def test_every_figure_of_a_rule_is_explained_in_the_table() -> None:
    asked = {name for rule in rules() for name, _ in FIGURE.findall(rule["expr"])}
    table = {name for name, _ in FIGURE.findall(PAGE.partition("```yaml")[0])}
    assert asked <= table


def test_each_rule_asks_for_each_installation_by_itself() -> None:
    for rule in rules():
        assert "absent(" not in rule["expr"], rule  # of all of them, without saying which one lacks it
        assert all(labels == "(namespace" for labels in re.findall(r"\b(?:by|on) (\(\w+)", rule["expr"])), rule


def test_what_was_never_done_is_as_old_as_its_cron_job() -> None:
    for rule in rules():
        for selector in re.findall(rf"{ABSENT_FOR_EVER}({{.*?}})", rule["expr"]):
            assert f"{ABSENT_FOR_EVER}{selector} or kube_cronjob_created{selector}" in rule["expr"], rule
