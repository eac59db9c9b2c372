"""The four images of the chart: built where they are not as their ingredients say, loaded where a node lacks them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import base_images, engine, folders, pip_secrets, stamp, tools
from ci.cluster import Cluster
from ci.command import run
from ci.engine import STAMP_LABEL, Engine
from ci.errors import CiError
from ci.folders import ROOT
from ci.progress import note, step

CHART = ROOT / "charts" / "iot-system" / "Chart.yaml"
RUNTIME = ROOT / "runtime"
LOCKS = RUNTIME / "requirements"
BASE = "trixie"


@dataclass(frozen=True)
class Image:
    """An image by the name that the chart gives it, and all that goes into it."""

    name: str
    containerfile: Path
    context: Path
    ingredients: Sequence[Path]
    target: str = ""

    @property
    def full_name(self) -> str:
        """Means the same to Docker, to Podman and to a Kubernetes node that reads the chart's short name."""
        return f"docker.io/{self.name}:{version()}"

    def stamp(self) -> str:
        return stamp.of(self.target, base_images.name(BASE), self.containerfile, *self.ingredients)


def _service(name: str) -> Image:
    """An image with the Python program."""
    ingredients = (RUNTIME / "pyproject.toml", RUNTIME / "src", LOCKS / "build.txt", LOCKS / f"{name}.txt")
    return Image(f"iot-system/{name}", RUNTIME / "Containerfile", RUNTIME, ingredients, name)


def _server(name: str, context: Path, *ingredients: Path) -> Image:
    return Image(f"iot-system/{name}", ROOT / "images" / name / "Containerfile", context, ingredients)


POSTGRES = ROOT / "images" / "postgres"
IMAGES = (
    _service("api"),
    _service("actor-system"),
    _server("nats", RUNTIME, LOCKS / "nats.txt"),
    _server("postgres", POSTGRES, POSTGRES),
)


def build(containers: Engine) -> None:
    """Bring all images up to date. Raises NoClusterError without a base image, CommandError when a build fails."""
    for image in IMAGES:
        wanted = image.stamp()
        if containers.stamp(image.full_name) == wanted:
            note(f"image {image.name}:{version()} is up to date")
            continue
        base_images.ensure(containers, BASE)
        with step(f"image {image.name}:{version()}") as current, _scratch() as scratch:
            arguments = [*(("--target", image.target) if image.target else ()), *pip_secrets.write(Path(scratch))]
            containers.build(
                image.containerfile, image.context, image.full_name, *arguments, stamp=wanted, step=current
            )
    # What was replaced has no name any more. The layers of the builds stay: they are the cache.
    containers.run("image", "prune", "--force", "--filter", f"label={STAMP_LABEL}")


def load(cluster: Cluster) -> None:
    """Bring all images up to date, and the nodes of the cluster with them."""
    build(engine.find())
    bring(cluster, [image.full_name for image in IMAGES])


def bring(cluster: Cluster, names: Sequence[str]) -> None:
    """Bring images of this machine to those nodes that lack one."""
    containers = engine.find()
    nodes = run(tools.path("kind"), "get", "nodes", "--name", cluster.name, env=containers.env).split()
    listed = [containers.run("exec", node, "ctr", "--namespace", "k8s.io", "images", "list") for node in nodes]
    identities = {name: _identity(containers, name) for name in names}
    missing = [
        name for name, identity in identities.items() if not all(has(on_node, name, identity) for on_node in listed)
    ]
    if not missing:
        note(f"the nodes of {cluster.name} have {', '.join(names)}")
        return
    with step(f"load {', '.join(missing)} into {cluster.name}") as current, _scratch() as scratch:
        archive = Path(scratch) / "images.tar"
        containers.save(archive, *missing)
        command = (tools.path("kind"), "load", "image-archive", archive, "--name", cluster.name)
        run(*command, env=containers.env, step=current)


def version() -> str:
    """The tag of all images: the chart's appVersion."""
    found = re.search(r'^appVersion: "(.+)"$', CHART.read_text(), re.MULTILINE)
    if found is None:
        raise CiError(f"{CHART.relative_to(ROOT)} has no appVersion")
    return found[1]


def has(listed: str, name: str, identity: str) -> bool:
    """Whether a node, by what `ctr images list` prints there, has this very image under this name.

    containerd keeps an image under its name and under its identity: both must lead to the same content.
    """
    content = {words[0]: words[2] for line in listed.splitlines() if len(words := line.split()) > 2}
    return name in content and content[name] == content.get(identity)


def _identity(containers: Engine, name: str) -> str:
    found = containers.run("image", "inspect", "--format", "{{.Id}}", name).strip()
    return f"sha256:{found.removeprefix('sha256:')}"


def _scratch() -> tempfile.TemporaryDirectory[str]:
    folders.cache().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folders.cache(), prefix="images-")
