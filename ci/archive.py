"""Container images of one static program each, written as an archive that containerd, Podman and Docker read.

Format: https://github.com/moby/docker-image-spec, the combined image JSON and filesystem changeset.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ci.download import architecture

FOLDER = "usr/local/bin"
PASSWD = b"root:x:0:0:root:/root:/sbin/nologin\n"


@dataclass(frozen=True)
class ProgramImage:
    """An image that holds a static program, and runs it."""

    name: str
    program: Path


def write(target: Path, images: Iterable[ProgramImage]) -> None:
    """One archive with all images; the same programs give the same bytes."""
    with tarfile.open(target, "w") as archive:
        manifest = []
        for image in images:
            layer = target.with_name(f"{image.program.name}.layer")
            _layer(layer, image.program)
            with layer.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
                content.seek(0)
                _add(archive, f"{digest}.tar", content, layer.stat().st_size)
            layer.unlink()
            config = json.dumps(_config(image, digest)).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, config_name, io.BytesIO(config), len(config))
            manifest.append({"Config": config_name, "RepoTags": [image.name], "Layers": [f"{digest}.tar"]})
        listing = json.dumps(manifest).encode()
        _add(archive, "manifest.json", io.BytesIO(listing), len(listing))


def _config(image: ProgramImage, layer: str) -> dict[str, object]:
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Env": [f"PATH=/{FOLDER}"], "Entrypoint": [f"/{FOLDER}/{image.program.name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
    }


def _layer(target: Path, program: Path) -> None:
    with tarfile.open(target, "w") as layer:
        for folder, mode in (("etc", 0o755), ("tmp", 0o1777), ("usr", 0o755), ("usr/local", 0o755), (FOLDER, 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        _add(layer, "etc/passwd", io.BytesIO(PASSWD), len(PASSWD))
        with program.open("rb") as content:
            _add(layer, f"{FOLDER}/{program.name}", content, program.stat().st_size, mode=0o755)


def _add(archive: tarfile.TarFile, name: str, content: io.BufferedIOBase, size: int, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    archive.addfile(entry, content)
