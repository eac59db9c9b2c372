"""What a fault is, and where it strikes."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from chart_harness.cluster import Namespace

from tests.harness.installation import Installation


class Scene(NamedTuple):
    """Where a fault strikes; what is random about it comes from ``random``, and ``note`` hears what is done to whom."""

    installation: Installation
    random: random.Random
    note: Callable[[str], None]

    @property
    def namespace(self) -> Namespace:
        return self.installation.namespace

    def any_of(self, component: str) -> str:
        """One of the pods of a component that serve."""
        return self.random.choice(sorted(self.namespace.ready_pods(component)))


Strike = Callable[[Scene], AbstractContextManager[Collection[str]]]
"""Begins a fault, and ends one that lasts; within it are the uids of the pods that it takes away.

Raises NoSuchPartError where there is nothing to strike, before it has done anything.
"""


class Fault(NamedTuple):
    """``limits``: measure (`tests.harness.figures.MEASURES`) → the most seconds that its 95th percentile may be.

    One that lasts does so for ``lasts_s`` at least, and until the system works in spite of it. Of a single round one
    ``of_many`` is no part: it takes minutes, or others do the like once.
    """

    name: str
    limits: Mapping[str, float]
    strike: Strike
    lasts_s: float = 0.0
    of_many: bool = False


def combined(first: Fault, second: Fault) -> Strike:
    """The second one strikes while the first one lasts."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        with first.strike(scene) as gone:
            scene.note(f"{first.name} lasts, now {second.name}")
            with second.strike(scene) as also_gone:
                yield [*gone, *also_gone]

    return strike
