"""Public releases of tools, each held against the checksum in the lock file."""

from __future__ import annotations

import functools
import hashlib
import io
import platform
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ci.errors import CiError
from ci.lock import Tool

ANSWER_S = 5.0
TRANSFER_S = 60.0
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class DownloadError(CiError):
    """A release could not be downloaded, or is not the one that was pinned."""


def offered(tool: Tool) -> bool:
    """Whether there is a release for this platform and its site answers; a site is asked once per run."""
    return tool.download is not None and _key() in tool.download.sha256 and _answers(_url(tool))


def program(tool: Tool, folder: Path) -> None:
    """Put the program into the folder; raises DownloadError."""
    assert tool.download
    url = _url(tool)
    try:
        with urllib.request.urlopen(url, timeout=TRANSFER_S) as answer:
            content: bytes = answer.read()
    except OSError as failed:
        raise DownloadError(f"cannot download {url}: {failed}") from failed
    found, pinned = hashlib.sha256(content).hexdigest(), tool.download.sha256[_key()]
    if found != pinned:
        raise DownloadError(f"{url} has SHA-256 {found}, but {pinned} is pinned")
    if tool.download.member:
        content = _member(content, _filled(tool.download.member, tool), url)
    target = folder / tool.name
    target.write_bytes(content)
    target.chmod(0o755)


def _member(archive: bytes, name: str, url: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        try:
            found = files.extractfile(name)
        except KeyError as missing:
            raise DownloadError(f"{url} has no {name}") from missing
        assert found
        return found.read()


def _url(tool: Tool) -> str:
    assert tool.download
    return _filled(tool.download.url, tool)


def _filled(pattern: str, tool: Tool) -> str:
    system, architecture = _key().split("-")
    return pattern.format(version=tool.version, os=system, arch=architecture)


def architecture() -> str:
    """This machine's, as Go and container images name it."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def _key() -> str:
    return f"{platform.system().lower()}-{architecture()}"


def _answers(url: str) -> bool:
    return _site_answers(urllib.parse.urlsplit(url).netloc)


@functools.cache
def _site_answers(site: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"https://{site}/", method="HEAD"), timeout=ANSWER_S):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
