from __future__ import annotations

from pathlib import Path

from chart_harness.manifests import Rendered
from chart_harness.rules import Rule


def test_the_chart_keeps_every_rule(chart: Rendered, rule: Rule) -> None:
    assert [*rule(chart)] == []


def test_who_is_no_client_is_kept_out_unless_all_are_let_in(chart: Rendered, values_file: Path) -> None:
    policies = [one["metadata"]["name"] for one in chart.of_kind("NetworkPolicy")]
    assert policies == ([] if values_file.stem == "open-values" else ["release"])
