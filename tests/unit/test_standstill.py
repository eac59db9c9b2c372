"""When a replica of the database stands still; the module is part of its image, and stands by itself."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from ci import folders

SPEC = importlib.util.spec_from_file_location("standstill", folders.ROOT / "images/postgres/standstill.py")


@pytest.fixture
def standstill() -> Any:
    assert SPEC is not None
    assert SPEC.loader is not None
    module = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(module)
    return module.Standstill()


def test_who_gets_no_further_and_receives_nothing_stands_still(standstill: Any) -> None:
    for _ in range(4):
        standstill.look(100, 5.0, receives=False)
    assert standstill.lasts_s == 15


def test_who_gets_on_does_not_also_from_a_place_before_the_farthest_one(standstill: Any) -> None:
    """As after a restart of Postgres, which begins where its last checkpoint did."""
    for place in (100, 100, 40, 50, 60):
        standstill.look(place, 5.0, receives=False)
    assert standstill.lasts_s == 0


def test_time_in_which_something_is_received_does_not_count(standstill: Any) -> None:
    for receives in (False, False, True, True, False):
        standstill.look(100, 5.0, receives=receives)
    assert standstill.lasts_s == 10


def test_what_ended_begins_anew(standstill: Any) -> None:
    for _ in range(3):
        standstill.look(100, 5.0, receives=False)
    standstill.end()
    standstill.look(100, 5.0, receives=False)
    assert standstill.lasts_s == 0
