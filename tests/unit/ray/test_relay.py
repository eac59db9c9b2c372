"""What Ray's processes write becomes part of the pod's log."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from iot_system.adapters.ray.node import relay

SHARD = b'{"event": "claim", "shard": "shard-a-0", "epochs": {"3": 2}}\n'


async def relayed(*lines: bytes, limit: int = 1024) -> list[structlog.typing.EventDict]:
    output = asyncio.StreamReader(limit=limit)
    with structlog.testing.capture_logs() as entries:
        relaying = asyncio.create_task(relay(output))
        for line in lines:
            output.feed_data(line)
            await asyncio.sleep(0)
        output.feed_eof()
        await relaying
    return list(entries)


async def test_a_shard_s_entry_passes_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert await relayed(SHARD) == []
    assert capfd.readouterr().err == SHARD.decode()


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"2026-11-25 20:06:39,680\tSUCC scripts.py:1085 -- Ray runtime started.\n", "debug"),
        (b"[2026-11-25 20:07:03,829 W 26352 26365] (raylet) store.cc:366: Disconnecting client\n", "debug"),
        (b"[2026-11-25 20:07:03,829 E 26352 26365] (raylet) store.cc:366: The disk is full\n", "warning"),
        (b"2026-11-25 20:07:04,840\tERROR node.py:720 -- Failed to mark the local node\n", "warning"),
        (b"broken \xff text\n", "debug"),
    ],
)
async def test_a_line_of_ray_s_own_becomes_an_entry_of_its_weight(line: bytes, level: str) -> None:
    assert await relayed(line) == [{"event": "ray", "line": line.decode(errors="replace").strip(), "log_level": level}]


async def test_a_line_beyond_all_bounds_is_passed_over_and_the_next_one_is_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert await relayed(b"x" * 5000, b"y" * 5000 + b"\n", SHARD) == []
    assert capfd.readouterr().err == SHARD.decode()
