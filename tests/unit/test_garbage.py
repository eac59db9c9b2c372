"""The collector of cyclic garbage in a process of a service."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
import msgspec
from iot_system.garbage import collect_seldom

collections = []
gc.callbacks.append(lambda phase, info: collections.append(info) if phase == "stop" else None)
decode = msgspec.json.Decoder().decode

def hold_messages(count):
    before = len(collections)
    messages = [decode(b'{"ts":1,"values":{"place":[1,2]}}') for _ in range(count)]
    return len(collections) - before

print(hold_messages(10_000))
collect_seldom()
print(hold_messages(10_000), gc.get_freeze_count() > 0)
cycle = []
cycle.append(cycle)
del cycle
hold_messages(100_000)
print(sum(info["collected"] for info in collections) > 0)
"""


def test_ten_thousand_messages_cause_no_search_for_cycles_but_cycles_are_still_found() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.split()
    before, after, is_frozen, is_found = told
    assert int(before) > 10
    assert int(after) <= 1
    assert (is_frozen, is_found) == ("True", "True")
