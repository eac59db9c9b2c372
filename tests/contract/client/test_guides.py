"""What the guide shows of the library does what it says, against the real system."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from iot_system.client import IotClient

from tests.contract.client.shared import Shared

GUIDE = Path(__file__).parents[3] / "docs" / "client.md"
DEADLINE_S = 60.0


async def test_the_first_example_of_the_library_runs_as_it_stands(system: Shared, iot: IotClient) -> None:
    example = re.search(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert example
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", example[1]),
        env=os.environ | {"IOT_URL": system.url, "IOT_TOKEN": system.admin_token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        said, complained = await program.communicate()
    assert program.returncode == 0, complained.decode()
    assert said.decode().splitlines()[-1] == "queued None"
    assert (await iot.devices.get("sensor-1")).room == "lab"
