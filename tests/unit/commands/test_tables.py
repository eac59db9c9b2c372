"""What people see of a value."""

from __future__ import annotations

import re
from typing import Any

import pytest
from iot_system.client.records import Device, DeviceToken
from iot_system.commands.tables import Output, counted, shown

ID = "sensor-" + "0123456789" * 12
TOKEN = f"{ID}.{'x' * 43}"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("room", None, "-"),
        ("enabled", True, "yes"),
        ("value", False, "no"),
        ("value", 21.5, "21.5"),
        ("avg", 20.619083333333336, "20.6190833"),
        ("last", 100000000.0, "100000000"),
        ("last", 1e300, "1e+300"),
        ("value", "open", "open"),
        ("payload", {"a": [1, None]}, '{"a":[1,null]}'),
        ("labels", {"b": "2", "a": "1"}, "a=1, b=2"),
        ("labels", {}, "-"),
        ("scopes", ["room:lab", "label:a=1"], "room:lab, label:a=1"),
        ("created", 1_700_000_000_000.25, "2023-11-14 22:13:20Z"),
        ("left", 0, "1970-01-01 00:00:00Z"),
        ("count", 1_700_000_000_000, "1700000000000"),
    ],
)
def test_a_value_is_told_as_people_write_it(name: str, value: Any, text: str) -> None:
    assert shown(name, value) == text


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")


@pytest.mark.usefixtures("narrow")
def test_a_token_is_told_whole_and_in_one_line_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output(is_json=False).issued(DeviceToken("c", ID, TOKEN))
    assert capsys.readouterr().out.splitlines()[-1] == TOKEN


@pytest.mark.usefixtures("narrow")
def test_a_long_value_goes_on_in_the_next_line_on_a_narrow_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output(is_json=False).record(Device(id=ID, behaviour="m:C", created=0, updated=0))
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, said.splitlines())) <= 60
    assert ID in re.sub(r"\s+", "", said)


def test_nothing_is_wrapped_where_no_terminal_reads_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    Output(is_json=False).record(Device(id=ID, behaviour="m:C", labels={"a": "x y " * 50}, created=0, updated=0))
    said = capsys.readouterr().out
    assert ID in said
    assert f"a={'x y ' * 50}" in said


def test_one_is_not_many() -> None:
    assert (counted(0, "row"), counted(1, "row"), counted(2_000, "row")) == ("0 rows", "1 row", "2,000 rows")
