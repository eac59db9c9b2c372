"""The files in an image."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ci.engine import Engine


@dataclass(frozen=True)
class ImageFiles:
    """All of an image's file system, in an archive. Paths have no leading slash."""

    archive: Path

    @cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """Everything by its path."""
        with tarfile.open(self.archive) as archive:
            return {member.name: member for member in archive}

    def matching(self, pattern: str) -> Iterator[tuple[PurePosixPath, bytes]]:
        """Path and content of each file whose path matches; `*` does not go over a slash."""
        with tarfile.open(self.archive) as archive:
            for name, member in sorted(self.members.items()):
                if member.isfile() and PurePosixPath(name).match(pattern):
                    content = archive.extractfile(member)
                    assert content
                    yield PurePosixPath(name), content.read()


@contextmanager
def opened(containers: Engine, image: str) -> Iterator[ImageFiles]:
    """The files of the image of this full name; they are there until the block ends."""
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "files.tar"
        made = containers.run("create", image).strip()
        try:
            containers.run("export", "--output", archive, made)
        finally:
            containers.run("rm", made)
        yield ImageFiles(archive)
