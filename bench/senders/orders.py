"""What a sender is told to do, and what it tells back: one line of JSON each."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.workload import Workload


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Send ``workload`` to ``port`` on loopback. ``passwords`` has one for each device, or one for all; or none."""

    protocol: Literal["mqtt", "rest", "frames"]
    port: int
    passwords: list[str]
    workload: Workload


class Sent(msgspec.Struct, frozen=True):
    """All is acknowledged, after how long, and with how much processor time of the sender's own."""

    seconds: float
    cpu_s: float
