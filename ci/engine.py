"""The container engine: Docker where its daemon answers, else Podman.

Podman gets the project's own configuration where this machine needs it; a user's configuration stays as it is.
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ci import packages
from ci.command import CommandError, run, works
from ci.errors import NoClusterError
from ci.progress import Step

CONTAINERS_CONF = Path(__file__).parent / "containers.conf"
STAMP_LABEL = "iot-system.stamp"
CAP_SYS_RESOURCE = 24  # linux/capability.h
ANSWER_S = 20.0
BEGINNING_S = 315532800
"""The time of everything in an image, the first that a zip archive can hold: 1980-01-01."""
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Engine:
    """A program that builds images and runs containers; `env` is what it, and kind with it, needs to be called with."""

    name: str
    env: Mapping[str, str]

    def run(
        self,
        *arguments: str | Path,
        stdin: str | IO[bytes] | None = None,
        step: Step | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """What `podman ARGUMENTS` or `docker ARGUMENTS` prints; see ci.command.run."""
        return run(self.name, *arguments, env=self.env, stdin=stdin, step=step, timeout_s=timeout_s)

    def works(self, *arguments: str | Path, timeout_s: float | None = None) -> bool:
        return works(self.name, *arguments, env=self.env, timeout_s=timeout_s)

    def has(self, image: str) -> bool:
        """Whether the image is on this machine."""
        return self.works("image", "inspect", image)

    def can_pull(self, image: str) -> bool:
        """Whether a registry that answers has the image."""
        return self.works("manifest", "inspect", image, timeout_s=ANSWER_S)

    def stamp(self, image: str) -> str:
        """The image's stamp, as given by `--label STAMP_LABEL=…` when it was built; empty where there is none."""
        try:
            found = self.run("image", "inspect", "--format", f'{{{{index .Config.Labels "{STAMP_LABEL}"}}}}', image)
        except CommandError:
            return ""
        return found.strip().removeprefix("<no value>")

    def is_running(self, container: str) -> bool:
        """Whether its processes live: the engine's own record outlives a kill of everything."""
        return self.works("exec", container, "true")

    def address(self, container: str) -> str:
        """The container's address in its network; empty while it does not run."""
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return next(iter(self.run("inspect", "--format", networks, container).split()), "")

    def build(
        self,
        containerfile: Path,
        context: Path,
        image: str,
        *arguments: str,
        stamp: str = "",
        step: Step | None = None,
    ) -> None:
        """Build an image and label it with the stamp; this machine's proxies are known meanwhile, and kept nowhere."""
        proxies = (part for name in PROXIES if os.environ.get(name) for part in ("--build-arg", name))
        label = ("--label", f"{STAMP_LABEL}={stamp}") if stamp else ()
        self.run("build", "--file", containerfile, "--tag", image, *proxies, *label, *arguments, context, step=step)

    def push(self, image: str, target: str) -> str:
        """Push the image to a registry under the name `target`; returns its digest there.

        A registry at this machine's own address speaks plain HTTP, as Docker has it.
        """
        self.run("tag", image, target)
        try:
            if self.name == "docker":
                said = self.run("push", target)
                digests: list[str] = re.findall(r"digest: (sha256:[0-9a-f]{64})", said)
                return digests[-1]
            local = target.startswith(("127.", "localhost:"))
            with tempfile.NamedTemporaryFile("r") as digest:
                self.run("push", f"--tls-verify={not local}".lower(), "--digestfile", digest.name, target)
                return digest.read().strip()
        finally:
            self.run("image", "rm", target)

    @property
    def reproducible(self) -> Sequence[str]:
        """Arguments for `build` that keep out of the image when, and by which version of the engine, it was built."""
        if self.name == "docker":
            return ("--build-arg", f"SOURCE_DATE_EPOCH={BEGINNING_S}")
        return (f"--timestamp={BEGINNING_S}", "--identity-label=false")

    def save(self, target: Path, *images: str) -> None:
        """Write the images into one archive."""
        several = ("--multi-image-archive",) if self.name == "podman" else ()
        self.run("save", *several, "--output", target, *images)


@functools.cache
def find() -> Engine:
    """The engine of this machine; Podman is installed where it may be.

    Raises NoClusterError when there is none.
    """
    if docker_answers():
        return Engine("docker", {"KIND_EXPERIMENTAL_PROVIDER": "docker"})
    packages.require(packages.ENGINE)
    env = {"KIND_EXPERIMENTAL_PROVIDER": "podman"}
    if not os.environ.get("CONTAINERS_CONF") and _is_confined():
        env["CONTAINERS_CONF"] = str(CONTAINERS_CONF)
    engine = Engine("podman", env)
    try:
        engine.run("info", timeout_s=ANSWER_S)
    except CommandError as failed:
        raise NoClusterError(f"podman does not work here: {failed}") from failed
    return engine


def docker_answers() -> bool:
    """Whether there is a Docker daemon for this process; Podman's stand-in of that name is none."""
    return works("docker", "info", timeout_s=ANSWER_S) and "podman" not in run("docker", "--version").lower()


def _is_confined() -> bool:
    """Whether Podman's usual settings fail: cgroups of version 1, or a root without CAP_SYS_RESOURCE."""
    if not Path("/proc/self/status").exists():
        return False
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return True
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return os.geteuid() == 0 and not effective >> CAP_SYS_RESOURCE & 1
