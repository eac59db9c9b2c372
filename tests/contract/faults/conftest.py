"""Disks that are soon full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.harness.disk import SmallDisk, small_disk

pytest.register_assert_rewrite("tests.contract.faults.workload")


@pytest.fixture
def disk_of() -> Iterator[Callable[[int], SmallDisk]]:
    """Makes a file system of so many megabytes, as many as a test needs."""
    with ExitStack() as opened:

        def make(megabytes: int) -> SmallDisk:
            try:
                return opened.enter_context(small_disk(megabytes))
            except PermissionError as error:
                pytest.skip(f"a disk that is full needs one of its own: {error}")

        yield make
