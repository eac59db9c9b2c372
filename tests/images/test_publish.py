"""A signed release, in a real registry: what was signed is accepted, and nothing else."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ci import images, publish, tools
from ci.command import CommandError, run
from ci.engine import Engine
from ci.errors import CiError
from ci.go import NoGoError
from ci.publish import PASSWORD, UNLOGGED, Signer
from tests.harness.helm import render_text
from tests.harness.registry import running_registry

NATS = next(image for image in images.IMAGES if image.short_name == "nats")
"""The smallest image."""


@pytest.fixture(scope="module", autouse=True)
def password() -> Iterator[None]:
    """Of the keys here; there are none without the programs that make and take them."""
    try:
        tools.path("cosign")
    except NoGoError as lacking:
        pytest.skip(f"no image is signed: {lacking}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(PASSWORD, "of a key that lives as long as a test")
        yield


def new_key(folder: Path) -> Path:
    folder.mkdir()
    run(tools.path("cosign"), "generate-key-pair", cwd=folder)
    return folder / "cosign.key"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private key of who releases."""
    return new_key(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """An empty registry of one's own, as `host:port/path`."""
    with running_registry() as address:
        yield f"{address}/team"


@pytest.fixture(scope="module")
def release(containers: Engine, registry: str, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release, whose image is in the registry."""
    folder = tmp_path_factory.mktemp("release")
    publish.publish(containers, registry, key, folder, [NATS])
    return folder


@pytest.fixture(scope="module")
def reference(release: Path, registry: str) -> str:
    """The released image, by its digest."""
    return f"{registry}/{NATS.name}@{digest(release)}"


@pytest.fixture
def signer(key: Path, tmp_path: Path) -> Signer:
    return publish.signing_by(key, tmp_path)


def digest(release: Path) -> str:
    found: str = yaml.safe_load((release / "digests.yaml").read_text())["global"]["image"]["digests"]["nats"]
    return found


def test_what_was_published_is_accepted(reference: str, signer: Signer) -> None:
    signer.verify(reference)


def test_what_another_key_has_signed_is_refused(reference: str, tmp_path: Path) -> None:
    stranger = publish.signing_by(new_key(tmp_path / "theirs"), tmp_path)
    with pytest.raises(CommandError):
        stranger.verify(reference)


def test_an_image_that_took_the_released_ones_name_is_refused(
    containers: Engine, registry: str, reference: str, signer: Signer, tmp_path: Path
) -> None:
    name = f"{registry}/{NATS.name}:{images.version()}"
    (tmp_path / "Containerfile").write_text(f"FROM {NATS.full_name}\nLABEL changed=yes\n")
    containers.build(tmp_path / "Containerfile", tmp_path, "localhost/iot-system/changed:test")
    try:
        other = containers.push("localhost/iot-system/changed:test", name)
    finally:
        containers.run("image", "rm", "localhost/iot-system/changed:test")
    assert not reference.endswith(other)
    with pytest.raises(CommandError):
        signer.verify(name)


def test_the_attestation_is_the_bill_of_materials(release: Path, reference: str, signer: Signer) -> None:
    said = run(
        *(tools.path("cosign"), "verify-attestation", "--key", signer.public_key, *UNLOGGED),
        *("--type", "cyclonedx", reference),
    )
    statement = json.loads(base64.b64decode(json.loads(said.splitlines()[0])["payload"]))
    assert statement["predicate"] == json.loads(images.bill_file(release, NATS).read_text())
    assert [f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]] == [digest(release)]


def test_the_chart_takes_what_was_published(release: Path, registry: str) -> None:
    rendered = render_text(release / "digests.yaml")
    used = set(re.findall(r'image: "(\S+/nats:\S+)"', rendered))
    assert used == {f"{registry}/{NATS.name}:{images.version()}@{digest(release)}"}


def test_a_release_needs_a_key_and_its_password(
    containers: Engine, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CiError, match="not a file"):
        publish.publish(containers, "localhost:1/team", tmp_path / "no.key", tmp_path)
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(CiError, match=f"{PASSWORD} is not set"):
        publish.publish(containers, "localhost:1/team", key, tmp_path)


def test_no_release_is_made_of_what_no_lock_has() -> None:
    """The archive no longer had the version, so the newest was taken."""
    component = {"name": "libssl3t64", "version": "9", "purl": "pkg:deb/debian/libssl3t64@9"}
    publish.check_locked(NATS, json.dumps({"components": [component | {"externalReferences": ["its hash"]}]}))
    with pytest.raises(CiError, match="iot-system/nats has libssl3t64 9, which its lock has not"):
        publish.check_locked(NATS, json.dumps({"components": [component]}))
