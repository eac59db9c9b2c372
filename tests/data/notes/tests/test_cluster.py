from __future__ import annotations

import pytest
from chart_harness.errors import NotFreezableError
from chart_harness.faults import Faults, Ledger
from chart_harness.installation import Installation


def test_its_own_test_passes(installation: Installation) -> None:
    assert "ready: True" in installation.test()


def test_an_upgrade_and_the_way_back_keep_every_note(installation: Installation, ledger: Ledger) -> None:
    ledger.begin()
    installation.upgrade({"resources.limits.memory": "96Mi"})
    installation.roll_back()
    ledger.check()


def test_no_acknowledged_note_is_lost_when_the_pod_is_killed(faults: Faults) -> None:
    assert faults.kill_pod("notes") < 60


def test_no_acknowledged_note_is_lost_when_the_pod_stands_still(faults: Faults) -> None:
    try:
        assert faults.freeze_pod("notes") < 60
    except NotFreezableError as elsewhere:
        pytest.skip(str(elsewhere))


def test_only_the_volume_and_the_log_of_the_last_test_are_left(installation: Installation) -> None:
    installation.uninstall()
    assert installation.left() == {"persistentvolumeclaim/data-release-0", "pod/release-check"}
