"""Tools: the pinned version from PATH, else from the cache, else made into it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import download, go, lock, tools
from ci.lock import Download, Tool

TOOL = "kubeconform"
VERSION = lock.tool(TOOL).version


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PATH with nothing but what a test puts into it, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("IOT_CACHE", str(tmp_path / "cache"))
    forget()
    yield folder
    forget()


def forget() -> None:
    for remembered in (tools.path, tools.folder, go.require):
        remembered.cache_clear()


def program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def cached(root: Path, name: str) -> Path:
    """The tool's folder in the cache, as an earlier run left it."""
    folder = root / "cache" / "tools" / f"{name}-{lock.tool(name).version}-{tools.stamp_of(name)}"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("says", [f"v{VERSION}", VERSION, f"{TOOL} version v{VERSION}+local (linux)"])
def test_the_pinned_version_on_path_is_taken(says: str, machine: Path) -> None:
    on_path = program(machine, TOOL, says)
    assert tools.path(TOOL) == on_path


@pytest.mark.parametrize(
    ("says", "code"), [(f"v{VERSION}1", 0), (f"v1{VERSION}", 0), (f"v{VERSION}.1", 0), ("", 0), (f"v{VERSION}", 1)]
)
def test_another_version_on_path_is_left_alone(says: str, code: int, machine: Path) -> None:
    program(machine, TOOL, says, code)
    with pytest.raises(go.GoError):
        tools.path(TOOL)


def test_what_is_in_the_cache_is_not_made_again(tmp_path: Path) -> None:
    kept = program(cached(tmp_path, TOOL), TOOL, "kept")
    assert tools.path(TOOL) == kept


def test_kubectl_comes_out_of_the_nodes_programs_where_they_were_built(tmp_path: Path) -> None:
    built = (
        tmp_path / "cache" / "tools" / f"kubernetes-{lock.tool('kubernetes').version}-{tools.stamp_of('kubernetes')}"
    )
    built.mkdir(parents=True)
    kubectl = program(built, "kubectl", "built")
    assert tools.path("kubectl") == kubectl


def test_without_go_the_sentence_says_what_to_install() -> None:
    with pytest.raises(go.GoError, match=rf"not on PATH: install Go {lock.read().go} or later"):
        tools.path("pause")


def test_a_go_that_is_too_old_is_refused(machine: Path) -> None:
    program(machine, "go", "go1.9.7")
    with pytest.raises(go.GoError, match=rf"with Go {lock.read().go} or later, but this is go1\.9\.7"):
        tools.path("pause")


def test_a_newer_go_will_do(machine: Path) -> None:
    program(machine, "go", "go1.100.0-rc1")
    go.require()


def test_a_module_with_another_checksum_is_refused(machine: Path) -> None:
    answer = '{"Sum": "h1:other", "Dir": "/nowhere"}'
    path = program(machine, "go", "")
    path.write_text(f"#!/bin/sh\ncase $1 in env) echo go1.100.0;; mod) echo '{answer}';; *) exit 9;; esac\n")
    with pytest.raises(go.GoError, match=r"has the checksum h1:other, but h1:\S+ is pinned"):
        go.source(lock.tool("kind"))


class Release:
    """A released archive in a folder, and the entry that pins it."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self.file = folder / "release.tar.gz"
        with tarfile.open(self.file, "w:gz") as archive:
            entry = tarfile.TarInfo("inner/it")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        self.digest = hashlib.sha256(self.file.read_bytes()).hexdigest()

    def tool(self, digest: str, member: str = "inner/it") -> Tool:
        pinned = {f"linux-{download.architecture()}": digest}
        return Tool("it", "1", (), source="it", download=Download(self.file.as_uri(), pinned, member))


def test_a_program_comes_out_of_its_archive(tmp_path: Path) -> None:
    release = Release(tmp_path, b"the program")
    download.program(release.tool(release.digest), tmp_path)
    assert (tmp_path / "it").read_bytes() == b"the program"
    assert (tmp_path / "it").stat().st_mode & 0o111


def test_a_release_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    release = Release(tmp_path, b"another")
    with pytest.raises(download.DownloadError, match=f"has SHA-256 {release.digest}, but {'0' * 64} is pinned"):
        download.program(release.tool("0" * 64), tmp_path)
    assert not (tmp_path / "it").exists()


def test_an_archive_without_the_program_is_refused(tmp_path: Path) -> None:
    release = Release(tmp_path, b"another")
    with pytest.raises(download.DownloadError, match="has no outer/it"):
        download.program(release.tool(release.digest, "outer/it"), tmp_path)
