"""An actor-system pod's part in Ray, with the whole of Ray in it: a process of its own, as Ray's token is read once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy
WITHIN_S = 120
BEGINS = f"""
import asyncio
from functools import partial
import ray
from iot_system.services.actor_system import RayMembers
from iot_system.services.waiting import wait_for
from iot_system.settings import ActorSystemSettings, read_settings

done = partial(wait_for, missing=lambda _: None)

async def main():
    members = RayMembers(read_settings(ActorSystemSettings))
    said = []
    try:
        async with asyncio.timeout({WITHIN_S}):
            await end_once(members, said)
            await coordinator_once(members, said)
    finally:
        await members.stop()
    print(*said, sep="; ")

async def end_once(members, said):
    await members._child.start()
    process = members._child._process
    process.kill()
    await process.wait()
    said.append(members.why_not_alive())
    await done(members.start)
    said.append(members.why_not_alive())

async def coordinator_once(members, said):
    await done(members.overview)
    before = members._coordinator
    ray.kill(before, no_restart=True)
    while members._coordinator is before:
        await done(members.overview)
    said.append(len((await done(members.overview)).shards))

asyncio.run(main())
"""


@pytest.mark.timeout(180)
async def test_a_ray_and_a_coordinator_that_have_ended_come_anew(tmp_path: Path) -> None:
    """Ray at its start, as where a machine is so busy that it gives up."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/never-opened.db"}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 64}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BEGINS, stdout=asyncio.subprocess.PIPE, env=os.environ | settings | token
    )
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert said.decode().splitlines()[-1] == "ray start ended with exit code -9; None; 0"
