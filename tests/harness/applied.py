"""Knowing that everything acknowledged is applied: marks go the same ordered way, so they arrive last."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from chart_harness.waiting import wait_until

from tests.harness.checker import Checker
from tests.harness.findings import Findings
from tests.harness.ledger import Accounts, Entry
from tests.harness.rest import Rest

MARK = "mark-"
APPLIED_WITHIN_S = 90.0


def settle(rest: Rest, rooms: Mapping[str, str]) -> None:
    """Return when all that each device (→ its room) got acknowledged before is in its twin and its room's."""
    mark = secrets.token_hex(8)
    for device in rooms:
        response = rest.request("POST", f"/v1/devices/{device}/telemetry", json={f"{MARK}{device}": mark})
        assert response.status_code == 202, response.text

    def has_come(device: str, room: str) -> bool:
        metric = f"{MARK}{device}"
        in_device = twin(rest, f"devices/{device}").get("latest", {}).get(metric, {})
        in_room = twin(rest, f"rooms/{room}").get("metrics", {}).get(metric, {}).get("last", {})
        return bool(in_device.get("value") == mark and in_room.get("value") == mark)

    for device, room in rooms.items():
        why = f"the mark of {device} did not arrive"
        wait_until(partial(has_come, device, room), within_s=APPLIED_WITHIN_S, every_s=0.2, why=why)


def history(rest: Rest, devices: Iterable[str]) -> Iterator[Entry]:
    """All readings of the devices without marks."""
    for device in devices:
        yield from (entry for entry in rest.history(device) if not entry.metric.startswith(MARK))


def found_in(ledger: Accounts, rest: Rest, rooms: Mapping[str, str]) -> Findings:
    """What is wrong with devices (→ their rooms), all of them in the ledger, once they are settled."""
    settle(rest, rooms)
    checker = Checker(ledger)
    check_applied(checker, rest, rooms)
    return checker.findings


def check_applied(checker: Checker, rest: Rest, rooms: Mapping[str, str]) -> None:
    """Look at the history, the twins and the rooms of devices (→ their rooms), which are settled."""
    checker.history(history(rest, rooms))
    checker.waits()
    for device in rooms:
        checker.device(device, twin(rest, f"devices/{device}").get("latest", {}))
    for room in set(rooms.values()):
        members = [device for device, its_room in rooms.items() if its_room == room]
        checker.room(room, members, twin(rest, f"rooms/{room}").get("metrics", {}))


def twin(rest: Rest, path: str) -> dict[str, Any]:
    """The twin of `devices/<id>` or `rooms/<id>`; empty where it is not known."""
    response = rest.request("GET", f"/v1/{path}/twin")
    assert response.status_code in (200, 404), response.text
    found: dict[str, Any] = response.json() if response.status_code == 200 else {}
    return found
