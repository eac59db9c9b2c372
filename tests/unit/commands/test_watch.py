"""What people see of an event."""

from __future__ import annotations

from iot_system.client.records import Event
from iot_system.commands.watch import line_of


def test_an_event_is_told_in_one_line_without_json() -> None:
    reading = Event(id="1", kind="reading", ts=1_700_000_000_000, device="a", data={"values": {"t": 21.5, "on": True}})
    assert line_of(reading) == "2023-11-14 22:13:20Z  reading     device a  t 21.5, on yes"
    alert = Event(id="2", kind="alert", room="lab", data={"name": "hot", "active": False, "payload": {"why": None}})
    assert line_of(alert) == '-  alert       room lab  name hot, active no, payload {"why":null}'
