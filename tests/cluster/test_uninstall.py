"""What an uninstallation leaves, and an installation that finds it again."""

from __future__ import annotations

from chart_harness.waiting import wait_until

from tests.cluster import sample
from tests.cluster.test_switching import NONE
from tests.harness.installation import Installation

LEFT = {"persistentvolumeclaim", "secret", "configmap"}
PATRONIS = "configmap/database-"
"""What it knows of the data in the volumes, which belongs to them."""
GONE_WITHIN_S = 120.0
LAST_CHECK = "pod/check"
"""Of the last `helm test`; Helm leaves it for its log."""


def test_only_volumes_and_secrets_are_left_and_a_new_installation_finds_its_data(testing: Installation) -> None:
    testing.uninstall()

    def more_is_left() -> set[str]:
        return {name for name in testing.left() - {LAST_CHECK} if name.partition("/")[0] not in LEFT}

    wait_until(
        lambda: not more_is_left(), within_s=GONE_WITHIN_S, every_s=1, why="more than volumes and secrets is left"
    )
    left = testing.left() - {LAST_CHECK}
    assert {name.partition("/")[0] for name in left} == LEFT
    assert all(name.startswith(PATRONIS) for name in left if name.startswith("configmap/"))

    testing.install(sets=NONE)  # what test_switching begins with
    sample.assert_held_once(testing.rest)
