"""What the demo tells of its figures."""

from __future__ import annotations

import re

import pytest
from iot_system.client.records import RoomTwin
from iot_system.commands.behaviours import Outcome, SetPoint
from iot_system.commands.figures import Figures, show_figures


@pytest.mark.parametrize("flips", [0, 3])
def test_set_points_are_told_whatever_heating_does_between_them(flips: int, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [SetPoint(21, False), *[SetPoint(21, True), SetPoint(21, False)] * flips, SetPoint(16, False)]
    room = RoomTwin(room="office", version=0, desired={}, members={}, metrics={})
    show_figures(Figures(readings=0, room=room, devices={}, hours=[], behaviours=Outcome(asked, [])))
    assert "Thermostat: 2 set-points for office-heater, one after the other; now 16 °C" in capsys.readouterr().out


def test_tables_are_no_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    room = RoomTwin(room="office", version=0, desired={}, members={}, metrics={})
    show_figures(Figures(readings=0, room=room, devices={}, hours=[], behaviours=Outcome([], [])))
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, said.splitlines())) == 40
