"""A signed release: the images in a registry, each signed by its digest, with its bill of materials as an attestation.

Signing is by a key pair of one's own (`cosign generate-key-pair`), without Sigstore's public services: nothing leaves
but what goes to the registry. See docs/releasing.md for how a user checks it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ci import images, tools
from ci.command import run
from ci.engine import Engine
from ci.errors import CiError
from ci.images import IMAGES, Image
from ci.progress import note, step

PASSWORD = "COSIGN_PASSWORD"  # the variable's name
UNLOGGED = ("--insecure-ignore-tlog",)
"""A signature by one's own key is checked against that key; there is no entry in a public log to ask for."""


@dataclass(frozen=True)
class Signer:
    """Signs with the private key in a file, whose password is in the variable COSIGN_PASSWORD."""

    key: Path
    public_key: Path
    services: Path
    """Which of Sigstore's services take part: none."""

    def sign(self, reference: str) -> None:
        """Sign what has this name and digest, in its registry."""
        self._cosign("sign", "--yes", "--key", self.key, "--signing-config", self.services, reference)

    def attest(self, reference: str, bill: str) -> None:
        """Sign a bill of materials for what has this name and digest, and put both beside it."""
        with tempfile.NamedTemporaryFile("w", suffix=".cdx.json") as file:
            file.write(bill)
            file.flush()
            options = ("--yes", "--key", self.key, "--signing-config", self.services, "--type", "cyclonedx")
            self._cosign("attest", *options, "--predicate", file.name, reference)

    def verify(self, reference: str) -> None:
        """Raises CommandError unless both signatures are there and fit the public key."""
        self._cosign("verify", "--key", self.public_key, *UNLOGGED, reference)
        self._cosign("verify-attestation", "--key", self.public_key, *UNLOGGED, "--type", "cyclonedx", reference)

    def _cosign(self, *arguments: str | Path) -> None:
        run(tools.path("cosign"), *arguments)


def publish(containers: Engine, registry: str, key: Path, folder: Path, chosen: Sequence[Image] = IMAGES) -> Path:
    """Build, push, sign and attest the images; returns a values file for the chart that pins what was signed.

    `registry` is a host and a path, such as `registry.example.org/team`; the engine and cosign must be logged in there.
    Raises CiError without the key or its password, and for an image that is not what its locks say; CommandError where
    the registry refuses.
    """
    if not key.is_file():
        raise CiError(f"--key is {key}, which is not a file: `cosign generate-key-pair` makes one")
    if PASSWORD not in os.environ:
        raise CiError(f"{PASSWORD} is not set: the password of {key}")
    images.write_bills(containers, folder)
    for image in chosen:
        check_locked(image, images.bill_file(folder, image).read_text())
    with tempfile.TemporaryDirectory() as scratch:
        signer = signing_by(key, Path(scratch))
        digests = {image.short_name: _publish(containers, registry, image, signer, folder) for image in chosen}
    values = folder / "digests.yaml"
    values.write_text(pinned(registry, digests))
    note(f"helm install … --values {values}")
    return values


def check_locked(image: Image, bill: str) -> None:
    """Raises CiError where a package of Debian's is another than the lock has: its archive had moved on."""
    for one in json.loads(bill)["components"]:
        if one["purl"].startswith("pkg:deb/") and not one.get("externalReferences"):
            raise CiError(
                f"{image.name} has {one['name']} {one['version']}, which its lock has not: python -m ci.debian makes "
                "the locks anew"
            )


def signing_by(key: Path, scratch: Path) -> Signer:
    """The signer of this private key; the folder holds what it needs besides."""
    signer = Signer(key, scratch / "cosign.pub", scratch / "services.json")
    run(tools.path("cosign"), "signing-config", "create", "--out", signer.services)
    signer.public_key.write_text(run(tools.path("cosign"), "public-key", "--key", key))
    return signer


def pinned(registry: str, digests: Mapping[str, str]) -> str:
    """The values file that has the chart take images from this registry by these digests."""
    return yaml.safe_dump({"global": {"image": {"registry": registry, "digests": dict(digests)}}}, sort_keys=False)


def _publish(containers: Engine, registry: str, image: Image, signer: Signer, folder: Path) -> str:
    """The digest of the image in the registry, where it is signed now."""
    target = f"{registry}/{image.name}:{images.version()}"
    with step(f"publish {target}"):
        digest = containers.push(image.full_name, target)
        reference = f"{registry}/{image.name}@{digest}"
        signer.sign(reference)
        signer.attest(reference, images.bill_file(folder, image).read_text())
        signer.verify(reference)
    return digest
