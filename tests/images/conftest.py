"""The images of this checkout, built where they are not up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import engine, image_files, images
from ci.engine import Engine
from ci.errors import NoClusterError
from ci.images import Image
from tests.images.built import Built
from tests.images.database import Disks

TIMEOUT_S = 1800
"""Of one test: the first one waits for the builds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/images" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def containers(pytestconfig: pytest.Config) -> Engine:
    """The engine, which has all images."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():  # the steps are shown as they happen
            found = engine.find()
            images.build(found)
    except NoClusterError as lacking:  # tests that were not run must not pass; ci.check asks beforehand
        pytest.fail(str(lacking), pytrace=False)
    return found


@pytest.fixture(scope="session", params=images.IMAGES, ids=lambda image: image.name.rpartition("/")[2])
def image(request: pytest.FixtureRequest) -> Image:
    """One image after the other."""
    found: Image = request.param
    return found


@pytest.fixture(scope="session")
def built(containers: Engine, image: Image) -> Iterator[Built]:
    """The image, with all its files."""
    with image_files.opened(containers, image.full_name) as files:
        yield Built(image, containers, files)


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # the containers' user goes through them
    return Disks(tmp_path)
