"""An image as it was built: what it says of itself, and the files in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ci.engine import Engine
from ci.image_files import ImageFiles
from ci.images import Image

RUN_S = 120.0


@dataclass(frozen=True)
class Built:
    """An image of this checkout."""

    image: Image
    containers: Engine
    files: ImageFiles

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its configuration, as in OCI's image specification."""
        shown = self.containers.run("image", "inspect", "--format", "{{json .Config}}", self.image.full_name)
        config: dict[str, Any] = json.loads(shown)
        return config

    @cached_property
    def size_mb(self) -> float:
        """The size of its layers, uncompressed."""
        return int(self.containers.run("image", "inspect", "--format", "{{.Size}}", self.image.full_name)) / 1e6

    def programs(self) -> set[str]:
        """The names of what may be run from a folder of programs."""
        return {
            PurePosixPath(path).name
            for path, file in self.files.members.items()
            if PurePosixPath(path).parent.name in ("bin", "sbin", "libexec") and not file.isdir()
        }

    def run(self, program: str, *arguments: str) -> str:
        """What a program in it prints, run as a pod runs it: read-only, without rights, and here without a network."""
        confined = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--network=none")
        return self.containers.run(
            *("run", "--rm", *confined, "--entrypoint", program, self.image.full_name, *arguments), timeout_s=RUN_S
        )
