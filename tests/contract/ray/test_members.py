"""An actor-system pod's part in Ray, with the whole of Ray in it: a process of its own, as Ray's token is read once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.alone
BEGINS = """
import asyncio
from iot_system.errors import Unavailable
from iot_system.services.actor_system import RayMembers
from iot_system.settings import ActorSystemSettings, read_settings

async def main():
    members = RayMembers(read_settings(ActorSystemSettings))
    ray = members._child
    await ray.start()
    ray._process.kill()
    await ray._process.wait()
    began = members.why_not_alive()
    while not members._node:
        try:
            await members.start()
        except Unavailable:
            await asyncio.sleep(0.1)
    then = members.why_not_alive()
    await members.stop()
    print(began, then, sep="; then ")

asyncio.run(main())
"""


@pytest.mark.timeout(180)
async def test_ray_that_ended_at_its_start_is_started_again(tmp_path: Path) -> None:
    """As where a machine is so busy that Ray gives up."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/never-opened.db"}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 64}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BEGINS, stdout=asyncio.subprocess.PIPE, env=os.environ | settings | token
    )
    said, _ = await process.communicate()
    assert said.decode().splitlines()[-1] == "ray start ended with exit code -9; then None"
