"""The bill of materials names everything that is in an image, as the image itself tells it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from packageurl import PackageURL

from ci import images, sbom
from tests.images.built import Built

INSTALLED = "from importlib.metadata import distributions as d; print(*(f'{p.name}=={p.version}' for p in d()))"


@pytest.fixture(scope="module")
def text(built: Built) -> str:
    """The image's bill; that it fits its schema is checked where it is made."""
    return images.bill(built.containers, built.image)


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def urls(bill: dict[str, Any], kind: str) -> set[str]:
    """Package URLs of a kind, without their qualifiers."""
    found = {component["purl"].partition("?")[0] for component in bill["components"]}
    return {url for url in found if url.startswith(f"pkg:{kind}/")}


def test_the_bill_is_the_same_each_time(built: Built, text: str) -> None:
    assert images.bill(built.containers, built.image) == text


def test_the_bill_names_the_very_image(built: Built, bill: dict[str, Any]) -> None:
    identity = built.containers.run("image", "inspect", "--format", "{{.Id}}", built.image.full_name).strip()
    [told] = bill["metadata"]["component"]["properties"]
    assert told["value"].endswith(identity)


@pytest.mark.parametrize("image", images.IMAGES[:2], indirect=True, ids=lambda image: image.short_name)
def test_every_python_package_that_the_program_can_import_is_named(built: Built, bill: dict[str, Any]) -> None:
    installed = built.run("/opt/iot-system/bin/python", "-c", INSTALLED).split()
    assert len(installed) > 10
    for package in installed:
        name, _, version = package.partition("==")
        assert f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}" in urls(bill, "pypi")


def test_every_file_of_debian_belongs_to_a_package_that_is_named(built: Built, bill: dict[str, Any]) -> None:
    named = {component["name"] for component in bill["components"] if component["purl"].startswith("pkg:deb/")}
    owned = {
        line.split(maxsplit=1)[1]
        for path, content in built.files.matching("var/lib/dpkg/status.d/*.md5sums")
        for line in content.decode().splitlines()
        if path.stem in named
    }
    libraries = [path for path, _ in built.files.matching("usr/lib/*/*.so*") if "python3" not in path.parts]
    assert bool(libraries) == (built.image.short_name != "nats")
    assert not [path for path in libraries if str(path) not in owned]


def test_what_a_lock_pins_comes_with_its_hashes(built: Built, bill: dict[str, Any]) -> None:
    pinned = [component for component in bill["components"] if component["purl"].startswith(("pkg:deb", "pkg:pypi"))]
    without = {component["name"] for component in pinned if not component.get("externalReferences")}
    # Debian's archive may have moved on: another version of what is in the lock. No release is made of that.
    without -= {
        PackageURL.from_string(url).name
        for lock in built.image.locks()
        for url in sbom.lock_hashes(lock)
        if "deb/" in url
    }
    # The program itself; and what Ray carries in its own package.
    vendored = {"aiohttp", "aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "multidict", "propcache", "psutil"}
    assert without <= {"iot-system", *(vendored | {"colorama", "idna", "yarl"} if "actor" in built.image.name else ())}


@pytest.mark.parametrize("image", images.IMAGES[2:3], indirect=True, ids=lambda image: image.short_name)
def test_every_module_of_the_broker_is_named(built: Built, bill: dict[str, Any]) -> None:
    version = re.search(r"v(\d\S*)", built.run("nats-server", "--version"))
    assert version
    modules = urls(bill, "golang")
    assert f"pkg:golang/github.com/nats-io/nats-server/v2@v{version[1]}" in modules
    assert any(url.startswith("pkg:golang/stdlib@1.") for url in modules)
