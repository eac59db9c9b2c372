"""Programs of tools.lock that tests need in a cluster beside the chart: as images, and how their pods may run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from ci import archive, cluster, engine, folders, images, lock, tools
from ci.archive import ProgramImage
from ci.go import NoGoError

POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def image(program: str) -> str:
    """The image's name."""
    return f"docker.io/iot-system/{program}:{lock.tool(program).version}"


def load(program: str) -> None:
    """Have the image on this machine and on the nodes; skips where the program cannot be had."""
    try:
        found = tools.path(program)
    except NoGoError as lacking:
        pytest.skip(f"there is no {program}: {lacking}")
    containers = engine.find()
    with tempfile.TemporaryDirectory(dir=folders.cache(), prefix="images-") as scratch:
        target = Path(scratch) / "program.tar"
        archive.write(target, [ProgramImage(image(program), found)])
        containers.run("load", "--input", target)
    images.bring(cluster.ensure(), [image(program)])
