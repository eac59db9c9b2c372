"""Mosquitto's clients, where they are installed."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from tests.contract.mqtt.serving import DEADLINE_S, Served

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto_pub") is None, reason="mosquitto_pub and mosquitto_sub are not installed"
)


async def mosquitto(
    served: Served, program: str, *arguments: str, stdin: bytes | None = None, user: str = "one"
) -> tuple[int, str]:
    """Run one of mosquitto's clients; returns exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        program,
        *("-h", "127.0.0.1", "-p", str(served.port), "-u", user, "-P", served.tokens[user], *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE_S):
        output, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, output.decode()
