"""A file system of its own size, which fills up without harm to anybody else."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = bytes(64 * 1024)


class SmallDisk:
    """``folder`` is its root. What fills it is a file that has nothing to do with whoever else uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self) -> None:
        """Leave no block free."""
        with self._filling.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(BLOCK)

    def free(self) -> None:
        """Take away what `fill` has written; idempotent."""
        self._filling.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """In memory. Raises `PermissionError` where this process may not mount one."""
    # Not pytest's own folder: Postgres runs as a user who may not enter that.
    with tempfile.TemporaryDirectory(prefix="iot-disk-") as name:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", name]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            raise PermissionError("this process may not mount a file system")
        try:
            yield SmallDisk(Path(name))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True, capture_output=True)
