"""System packages of Debian and Ubuntu: installed where this process may, else named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ci.command import CommandError, run
from ci.errors import NoClusterError
from ci.progress import note, step

# Each package and what it is for. The first brings the program of its own name: what other systems are asked for.
ENGINE = {
    "podman": "runs the nodes as containers",
    "netavark": "connects them",
    "aardvark-dns": "gives them names",
    "iptables": "writes their address translation",
    "nftables": "does the same for newer releases of netavark",
    "runc": "starts them, also on cgroups of version 1",
}
BASE_IMAGES = {
    "mmdebstrap": "makes Debian base images without an image registry",
    "debian-archive-keyring": "verifies their packages",
    "arch-test": "knows which architectures run here",
}
MQTT_CLIENTS = {"mosquitto-clients": "clients of MQTT that are not ours"}
SIGNATURES = {"gnupg": "signs packages of the chart"}
POSTGRES = {"postgresql": "a Postgres that speaks TLS, as the one of the test dependencies does not"}


def require(packages: Mapping[str, str]) -> None:
    """Return when all packages that a cluster needs are there; see `install`.

    Raises NoClusterError, which says what to install.
    """
    lacking = install(packages, "a cluster")
    if lacking:
        raise NoClusterError(lacking)


def install(packages: Mapping[str, str], what: str) -> str | None:
    """As root on Debian or Ubuntu, install those packages that are missing.

    Returns None when all are there, else one sentence that says what to install for ``what``.
    """
    lacking = missing(packages)
    if not lacking:
        return None
    names = " ".join(lacking)
    if not shutil.which("apt-get"):
        return f"{what} needs {names}: install it with this system's package manager"
    if not may_install():
        return f"{what} needs system packages: `sudo apt-get install --no-install-recommends {names}`"
    for name in lacking:
        note(f"system package {name}: {packages[name]}")
    with step(f"install {names}") as current:
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            run("apt-get", "update", "--quiet", env=env, step=current)
            run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *lacking, env=env, step=current)
        except CommandError as failed:
            return f"cannot install {names}: {failed}"
    return None


def postgres() -> Path | None:
    """The folder with the programs of the newest Postgres of Debian; None where its server is not installed."""
    servers = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((server.parent for server in servers), default=None)


def missing(packages: Mapping[str, str]) -> list[str]:
    """The packages that are not installed; where there is no dpkg, the first one when its program is not on PATH."""
    if not shutil.which("dpkg-query"):
        first = next(iter(packages))
        return [] if shutil.which(first) else [first]
    return [name for name in packages if not _installed(name)]


def may_install() -> bool:
    """Whether this process can install packages: as root, where there is apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _installed(name: str) -> bool:
    try:
        return run("dpkg-query", "--show", "--showformat=${db:Status-Status}", name) == "installed"
    except CommandError:
        return False
