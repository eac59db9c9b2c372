"""Whoever plants a defect into the running processes is found out by a strike that nothing else notices."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.faults import strikes
from tests.contract.faults.meters import Meters
from tests.contract.faults.pods import Pods
from tests.harness.processes import ROOT, Plant, running_plant

pytestmark = pytest.mark.heavy
PLANTING = Path(__file__).with_name("sitecustomize.py")
TIMEOUT_S = 300
Strike = Callable[[Plant, Meters], Awaitable[None]]
OF_PODS = ("acknowledged_before_durable",)
FOUND: dict[str, tuple[Strike, str]] = {
    "acknowledged_before_durable": (strikes.a_pod_dies_while_the_broker_is_away, "lost"),
    "offset_outside_the_transaction": (strikes.shards_die_amid_their_commits, "lost"),
    "no_epoch_check": (strikes.a_shard_wakes_up_after_another_took_over, "lost"),
    "no_numbers_known_again": (strikes.acknowledgements_are_cut_off, "doubled"),
    "no_readings_known_again": (strikes.acknowledgements_are_cut_off, "miscounted"),
    "no_frames_of_actors_known_again": (strikes.shards_die_before_it_is_written_what_left, "miscounted"),
}
"""Defect → the strike that shows it, and what is wrong then."""
_numbers = itertools.count()


class Soil:
    """A plant with one defect at most, which ``file`` names."""

    def __init__(self, plant: Plant, file: Path) -> None:
        self.plant = plant
        self._file = file

    def have(self, defect: str) -> None:
        """Return when everything runs with this defect alone; with none, where it is empty."""
        before = self._file.read_text()
        if defect != before:
            self._file.write_text(defect)
            for is_of_pods in {name in OF_PODS for name in (before, defect) if name}:
                if is_of_pods:
                    for pod in self.plant.pods:
                        pod.change({})
                else:
                    self.plant.replace_actors()
        self.plant.wait_until_whole()

    async def struck(self, strike: Strike) -> dict[str, list[str]]:
        """What is wrong afterwards."""
        pods = [pod.url for pod in self.plant.pods]
        async with Pods(pods, self.plant.admin_token) as asking:
            meters = Meters(self.plant, asking, name=f"meter-{next(_numbers)}")
            await meters.begin()
            await strike(self.plant, meters)
            self.plant.wait_until_whole()
            return await meters.wrong()


@pytest.fixture(scope="module")
def soil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soil]:
    folder = tmp_path_factory.mktemp("planting")
    shutil.copy(PLANTING, folder)
    file = folder / "defect"
    file.touch()
    with running_plant(modules=(folder, ROOT)) as plant:
        yield Soil(plant, file)


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("strike", dict.fromkeys(strike for strike, _ in FOUND.values()), ids=lambda one: one.__name__)
async def test_a_strike_alone_loses_doubles_and_miscounts_nothing(soil: Soil, strike: Strike) -> None:
    soil.have("")
    assert await soil.struck(strike) == {}


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("defect", FOUND)
async def test_a_planted_defect_is_found(soil: Soil, defect: str) -> None:
    strike, kind = FOUND[defect]
    soil.have(defect)
    assert kind in await soil.struck(strike), f"{defect} was not found"
