"""The four images of the chart: built where they are not as their ingredients say, loaded where a node lacks them."""

from __future__ import annotations

import re
import tempfile
from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import base_images, debian, engine, folders, pip_secrets, sbom, stamp, tools
from ci.cluster import Cluster
from ci.command import run
from ci.engine import STAMP_LABEL, Engine
from ci.errors import CiError
from ci.folders import ROOT
from ci.progress import note, step

CHART = ROOT / "charts" / "iot-system" / "Chart.yaml"
RUNTIME = ROOT / "runtime"
LOCKS = RUNTIME / "requirements"
SERVERS = ROOT / "images"
UNPACK = SERVERS / "unpack.sh"
BASE = "trixie"


@dataclass(frozen=True)
class Image:
    """An image by the name that the chart gives it, and all that goes into it; the repository is its build context."""

    name: str
    containerfile: Path
    ingredients: Sequence[Path]
    target: str = ""

    @property
    def short_name(self) -> str:
        """As in the chart's `global.image.digests`."""
        return self.name.rpartition("/")[2]

    @property
    def full_name(self) -> str:
        """Means the same to Docker, to Podman and to a Kubernetes node that reads the chart's short name."""
        return f"docker.io/{self.name}:{version()}"

    def locks(self) -> list[Path]:
        """Of all packages in it."""
        files = (path for given in self.ingredients for path in (given.iterdir() if given.is_dir() else [given]))
        return sorted(path for path in files if path.suffix in (".txt", debian.SUFFIX))

    def stamp(self) -> str:
        return stamp.of(self.target, base_images.name(BASE), self.containerfile, *self.ingredients)


def _service(name: str) -> Image:
    """An image with the Python program."""
    made_from = [LOCKS / lock for lock in ("build.txt", f"{name}.txt", "python.debian", "bash.debian")]
    ingredients = (RUNTIME / "pyproject.toml", RUNTIME / "src", UNPACK, *made_from)
    return Image(f"iot-system/{name}", RUNTIME / "Containerfile", ingredients, name)


def _server(name: str, *ingredients: Path) -> Image:
    return Image(f"iot-system/{name}", SERVERS / name / "Containerfile", ingredients)


IMAGES = (
    _service("api"),
    _service("actor-system"),
    _server("nats", UNPACK, SERVERS / "nats", LOCKS / "nats.txt"),
    _server("postgres", UNPACK, SERVERS / "postgres"),
)


def build(containers: Engine) -> None:
    """Bring all images up to date. Raises NoClusterError without a base image, CommandError when a build fails."""
    for image in IMAGES:
        wanted = image.stamp()
        if containers.stamp(image.full_name) == wanted:
            note(f"image {image.name}:{version()} is up to date")
            continue
        base_images.ensure(containers, BASE)
        _build(containers, image, image.full_name)
    # What was replaced has no name any more; what another build uses meanwhile stays, and so do the layers of the
    # builds, the cache.
    containers.works("image", "prune", "--force", "--filter", f"label={STAMP_LABEL}")


def verify(containers: Engine) -> None:
    """Bring all images up to date, and build each a second time from nothing: it must come out the same, bit for bit.

    Raises CiError that names those that do not.
    """
    build(containers)
    differing = []
    for image in IMAGES:
        again = f"localhost/{image.name}:again"
        _build(containers, image, again, "--no-cache")
        if _identity(containers, again) != _identity(containers, image.full_name):
            differing.append(image.name)
        containers.run("image", "rm", "--force", again)
    if differing:
        raise CiError(f"built a second time, {', '.join(differing)} came out different")
    note(f"built a second time, all {len(IMAGES)} images came out the same")


def write_bills(containers: Engine, folder: Path) -> None:
    """Bring all images up to date, and write the bill of materials of each into the folder, as `NAME.cdx.json`."""
    build(containers)
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        with step(f"bill of materials {bill_file(folder, image)}"):
            bill_file(folder, image).write_text(bill(containers, image))


def bill_file(folder: Path, image: Image) -> Path:
    """Where `write_bills` puts the bill of an image."""
    return folder / f"{image.short_name}.cdx.json"


def bill(containers: Engine, image: Image) -> str:
    """The image's bill of materials; see ci/sbom.py."""
    locks = map(sbom.lock_hashes, image.locks())
    identity = _identity(containers, image.full_name)
    return sbom.of_image(containers, image.name, version(), identity, ChainMap(*map(dict, locks)))


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


def _build(containers: Engine, image: Image, name: str, *options: str) -> None:
    with step(f"image {name}") as current, _scratch() as scratch:
        target = ("--target", image.target) if image.target else ()
        arguments = [*target, *options, *containers.reproducible, *pip_secrets.write(Path(scratch))]
        containers.build(image.containerfile, ROOT, name, *arguments, stamp=image.stamp(), step=current)


def _identity(containers: Engine, name: str) -> str:
    """The digest of the image's configuration, and so of everything in it."""
    found = containers.run("image", "inspect", "--format", "{{.Id}}", name).strip()
    return f"sha256:{found.removeprefix('sha256:')}"


def _scratch() -> tempfile.TemporaryDirectory[str]:
    folders.cache().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=folders.cache(), prefix="images-")
