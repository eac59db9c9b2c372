"""Debian's base images: from the registry where it answers, else made from Debian's packages, under the same name."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ci import folders, packages
from ci.command import run
from ci.engine import Engine
from ci.progress import step

# As in Debian's own slim images.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def name(suite: str) -> str:
    """The image's full name, which means the same to Podman and Docker."""
    return f"docker.io/library/debian:{suite}-slim"


def ensure(engine: Engine, suite: str) -> str:
    """The name of the base image of a Debian release, which is on this machine from now on.

    Raises NoClusterError when it can neither be pulled nor made, CommandError when making it fails.
    """
    image = name(suite)
    if engine.has(image):
        return image
    if engine.can_pull(image):
        with step(f"pull {image}") as current:
            engine.run("pull", image, step=current)
        return image
    packages.require(packages.BASE_IMAGES)
    with step(f"make {image} from Debian's packages") as current:
        folders.cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folders.cache(), prefix="base-image-") as work:
            root = Path(work) / "root.tar"
            left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
            wanted = ["--variant=minbase", "--include=ca-certificates", *left_out]
            run("mmdebstrap", *wanted, suite, root, step=current)
            engine.run("import", "--change", 'CMD ["bash"]', root, image)
    return image
