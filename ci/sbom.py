"""The bill of materials of an image, in CycloneDX's JSON: what is in it, found there, with hashes from the lock files.

The same image gives the same text. What it names: Debian packages, Python packages (those that others carry in
themselves, too) and the Go modules of programs. What it cannot see: C, C++ and Rust libraries inside the binaries of a
Python package, such as Ray's gRPC or the TLS library of `cryptography`.
"""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from ci import debian, image_files
from ci.command import run
from ci.engine import BEGINNING_S, Engine
from ci.errors import CiError
from ci.image_files import ImageFiles

Hashes = Mapping[str, frozenset[str]]
"""SHA-256 by package URL: of the files that a lock allows for it."""
PROGRAM = b"\xff Go buildinf:"
"""Marks a Go program: https://pkg.go.dev/debug/buildinfo."""


class SbomError(CiError):
    """A bill of materials could not be made, or is not a valid one."""


def of_image(containers: Engine, name: str, version: str, identity: str, locks: Hashes) -> str:
    """The bill of the image `name:version`, whose configuration has the digest `identity`. Raises SbomError."""
    with image_files.opened(containers, f"docker.io/{name}:{version}") as files:
        components = [*debian_packages(files), *python_packages(files), *go_modules(files)]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, identity),
        components=[_with_hashes(component, locks) for component in components],
    )
    bom.metadata.timestamp = datetime.fromtimestamp(BEGINNING_S, UTC)
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=version,
        bom_ref=f"{name}:{version}",
        properties=[Property(name="iot-system:image-id", value=identity)],
    )
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise SbomError(f"the bill of materials of {name} does not fit its schema: {wrong}")
    return text


def debian_packages(files: ImageFiles) -> Iterator[Component]:
    """What was unpacked by images/unpack.sh."""
    for path, content in files.matching("var/lib/dpkg/status.d/*"):
        if path.suffix != ".md5sums":
            yield _debian(BytesHeaderParser().parsebytes(content))


def python_packages(files: ImageFiles) -> Iterator[Component]:
    """What has metadata (https://packaging.python.org/specifications/core-metadata) and is not in one of Debian's."""
    found = {}
    for path, content in files.matching("*.dist-info/METADATA"):
        if "dist-packages" in path.parts:
            continue
        about = BytesHeaderParser().parsebytes(content)
        name = re.sub(r"[-_.]+", "-", about["Name"]).lower()
        url = PackageURL("pypi", name=name, version=about["Version"])
        licence = about["License-Expression"]
        licences = [LicenseExpression(value=licence)] if licence else []
        found[url] = Component(name=name, version=about["Version"], purl=url, bom_ref=str(url), licenses=licences)
    yield from found.values()


def go_modules(files: ImageFiles) -> Iterator[Component]:
    """What Go programs say that they are made of; a module comes with the checksum that Go gives it."""
    for _, content in files.matching("bin/*"):
        if PROGRAM not in content:
            continue
        with tempfile.NamedTemporaryFile() as program:
            program.write(content)
            program.flush()
            first, *lines = run("go", "version", "-m", program.name).splitlines()
        yield _module("stdlib", first.rpartition("go")[2])
        for line in lines:
            kind, _, rest = line.strip().partition("\t")
            if kind in ("mod", "dep"):
                name, version, *checksum = rest.split("\t")
                yield _module(name, version, *checksum)


def lock_hashes(lock: Path) -> Hashes:
    """What a lock file allows: one of `ci/locks.py`, or of `ci/debian.py`."""
    text = lock.read_text()
    if lock.suffix == debian.SUFFIX:
        return {str(_debian_url(*name)): frozenset([digest]) for digest, name in debian.packages(text)}
    allowed: dict[str, frozenset[str]] = {}
    for pinned in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE):  # one for each package
        if found := re.match(r"([a-z0-9-]+)==([^\s;]+)", pinned):
            url = PackageURL("pypi", name=found[1], version=found[2])
            allowed[str(url)] = frozenset(re.findall("--hash=sha256:([0-9a-f]+)", pinned))
    return allowed


def _debian(about: Message) -> Component:
    name, version = about["Package"], about["Version"]
    url = _debian_url(name, version, about["Architecture"])
    return Component(name=name, version=version, purl=url, bom_ref=str(url))


def _debian_url(name: str, version: str, architecture: str) -> PackageURL:
    qualifiers = {"arch": architecture, "distro": debian.SUITE}
    return PackageURL("deb", "debian", name, version, qualifiers)


def _module(name: str, version: str, *checksum: str) -> Component:
    namespace, _, last = name.rpartition("/")
    url = PackageURL("golang", namespace, last, version)
    properties = [Property(name="iot-system:go-checksum", value=value) for value in checksum if value]
    return Component(name=name, version=version, purl=url, bom_ref=str(url), properties=properties)


def _with_hashes(component: Component, locks: Hashes) -> Component:
    hashes = locks.get(str(component.purl), ())
    if hashes:
        component.external_references.add(
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(component.purl)),
                comment="one of the files that the lock allows",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in hashes],
            )
        )
    return component
