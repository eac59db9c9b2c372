"""Programs of the release before and of this one take turns, and work together while they do.

Amid commands, twins, readings and messages between actors each is replaced in turn, so that both releases read what the
other has written and asked; a cluster does the same with pods (`tests/cluster/test_upgrade.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.contract.faults.pods import Pods
from tests.contract.faults.test_kills import listening
from tests.contract.faults.workload import Workload
from tests.harness.processes import Plant, running_plant

pytestmark = pytest.mark.heavy
TIMEOUT_S = 480
SEED = 20261126


@pytest.fixture(scope="module")
def plant(previous_tree: Path) -> Iterator[Plant]:
    with running_plant() as plant:
        yield plant


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("step", ["back", "forth"])
async def test_a_change_of_the_release_amid_work_leaves_every_count_and_state_right(
    plant: Plant, previous_tree: Path, step: str
) -> None:
    overlay = plant.of_first_release(previous_tree) if step == "back" else {}

    def change() -> None:
        for program in (plant.pods[0], plant.actors, plant.pods[1]):
            program.change(overlay)

    async with Pods([pod.url for pod in plant.pods], plant.admin_token) as pods, AsyncExitStack() as opened:
        workload = Workload(pods, plant.mqtt_ports, name=step, seed=SEED)
        await workload.prepare(opened)
        await opened.enter_async_context(listening(workload, plant))
        await workload.work(change)
        await workload.check()
