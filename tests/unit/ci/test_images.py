"""Images: when they are made again, and when a node lacks one."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import iot_system
import pytest

from ci import images
from ci.folders import ROOT
from ci.images import LOCKS, Image

NAME = "docker.io/iot-system/api:0.1.0"
IDENTITY = "sha256:" + "c" * 64
LISTED = f"""\
REF TYPE DIGEST SIZE PLATFORMS LABELS
{NAME} application/vnd.docker.distribution.manifest.v2+json sha256:{"a" * 64} 130.1 MiB linux/amd64 managed
{IDENTITY} application/vnd.docker.distribution.manifest.v2+json sha256:{"a" * 64} 130.1 MiB linux/amd64 managed
sha256:{"d" * 64} application/vnd.docker.distribution.manifest.v2+json sha256:{"b" * 64} 80 MiB linux/amd64 managed
"""


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image of a folder with one file."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "program.py").write_text("print(1)")
    (tmp_path / "Containerfile").write_text("FROM scratch")
    return Image("iot-system/test", tmp_path / "Containerfile", [tmp_path / "src"], "one")


def test_the_tag_is_the_programs_version() -> None:
    assert images.version() == iot_system.__version__


def test_every_image_that_the_chart_names_is_built() -> None:
    templates = (ROOT / "charts" / "iot-system").rglob("*.tpl"), (ROOT / "charts" / "iot-system").rglob("*.yaml")
    text = "".join(path.read_text() for paths in templates for path in paths)
    named = set(re.findall(r'"common\.image" \(list \S+ "([^"]+)"\)', text))
    assert named == {image.name for image in images.IMAGES}


def test_an_image_of_the_same_ingredients_has_the_same_stamp(image: Image, tmp_path: Path) -> None:
    before = image.stamp()
    shutil.copytree(tmp_path / "src", tmp_path / "src" / "__pycache__")
    assert image.stamp() == before


@pytest.mark.parametrize("changed", ["Containerfile", "src/program.py", "src/another.py"])
def test_an_image_of_other_ingredients_has_another_stamp(image: Image, tmp_path: Path, changed: str) -> None:
    before = image.stamp()
    (tmp_path / changed).write_text("FROM something")
    assert image.stamp() != before


def test_two_targets_of_one_file_have_two_stamps(image: Image) -> None:
    assert replace(image, target="two").stamp() != image.stamp()


def copied(image: Image) -> set[Path]:
    """What its Containerfile copies from the repository; the other target's lock is not this one's."""
    copies = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", image.containerfile.read_text(), re.MULTILINE)
    sources = {ROOT / path for names in copies for path in names.split()}
    others = {LOCKS / f"{other.target}.txt" for other in images.IMAGES if other.target != image.target}
    return sources - others


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.name)
def test_what_an_image_copies_is_among_its_ingredients(image: Image) -> None:
    assert copied(image)
    for source in copied(image):
        assert source.exists()
        assert any(source.is_relative_to(ingredient) for ingredient in image.ingredients)


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.name)
def test_what_an_image_copies_is_let_into_its_context(image: Image) -> None:
    let_in = [ROOT / line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"]
    for source in copied(image):
        assert any(source.is_relative_to(path) for path in let_in)


def test_a_node_has_an_image_that_its_name_and_identity_lead_to() -> None:
    assert images.has(LISTED, NAME, IDENTITY)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        pytest.param(NAME, f"sha256:{'d' * 64}", id="the name leads to an older one"),
        pytest.param(NAME, f"sha256:{'e' * 64}", id="never loaded"),
        pytest.param("docker.io/iot-system/api:0.2.0", IDENTITY, id="known by another name"),
    ],
)
def test_a_node_lacks_an_image(name: str, identity: str) -> None:
    assert not images.has(LISTED, name, identity)
