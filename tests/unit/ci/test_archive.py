"""Images of one static program: what containerd needs to find in their archive."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ci import archive
from ci.archive import ProgramImage

NAMES = ("example.org/one:1", "example.org/two:2")


@pytest.fixture
def images(tmp_path: Path) -> list[ProgramImage]:
    made = []
    for name in NAMES:
        program = tmp_path / name.rpartition("/")[2].partition(":")[0]
        program.write_text(f"program of {name}")
        made.append(ProgramImage(name, program))
    return made


def content(target: Path, name: str) -> bytes:
    with tarfile.open(target) as files:
        found = files.extractfile(name)
        assert found
        return found.read()


def manifest(target: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(content(target, "manifest.json"))
    return listed


def test_each_image_runs_its_program(images: list[ProgramImage], tmp_path: Path) -> None:
    target = tmp_path / "images.tar"
    archive.write(target, images)
    entries = manifest(target)
    assert [entry["RepoTags"] for entry in entries] == [[name] for name in NAMES]
    for entry, image in zip(entries, images, strict=True):
        config = json.loads(content(target, entry["Config"]))
        assert config["config"]["Entrypoint"] == [f"/usr/local/bin/{image.program.name}"]
        (layer,) = entry["Layers"]
        (tmp_path / "layer.tar").write_bytes(content(target, layer))
        with tarfile.open(tmp_path / "layer.tar") as files:
            program = files.getmember(f"usr/local/bin/{image.program.name}")
            assert program.mode == 0o755
            assert files.getmember("tmp").mode == 0o1777
        assert content(tmp_path / "layer.tar", program.name) == image.program.read_bytes()


def test_digests_are_those_of_the_contents(images: list[ProgramImage], tmp_path: Path) -> None:
    target = tmp_path / "images.tar"
    archive.write(target, images)
    for entry in manifest(target):
        config = content(target, entry["Config"])
        assert entry["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        digests = [f"sha256:{hashlib.sha256(content(target, layer)).hexdigest()}" for layer in entry["Layers"]]
        assert json.loads(config)["rootfs"]["diff_ids"] == digests


def test_the_same_programs_give_the_same_bytes(images: list[ProgramImage], tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        archive.write(tmp_path / name, images)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "one.tar", "two", "two.tar"]
