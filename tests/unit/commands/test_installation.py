"""What is said of a start that takes too long."""

from __future__ import annotations

import os

import pytest
from iot_system.commands.installation import why_slow


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (5.9, ""),
        (6.0, " (the machine is busy: 6 processes want its 2 processors; try again when fewer do)"),
        (23.6, " (the machine is busy: 24 processes want its 2 processors; try again when fewer do)"),
    ],
)
def test_a_machine_that_has_much_else_to_do_is_named(load: float, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert why_slow() == told
