"""The local node image: a stand-in for kindest/node, made from Debian's packages and the Go module proxy.

It carries the images of Kubernetes' own pods, so that a cluster needs no image registry. Its stamp, a label, says what
it was made from; while that is the same, it is not made again.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ci import archive, base_images, folders, go, lock, node_files, stamp, tools
from ci.archive import ProgramImage
from ci.command import run
from ci.engine import Engine
from ci.progress import step

HERE = Path(__file__).parent
RECIPES = HERE / "node"
PROGRAMS = (
    *("kubernetes", "etcd", "coredns", "cni-plugins", "local-path-provisioner", "metrics-server"),
    *("network-policies", "pause"),
)
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
ON_THE_NODE = ("kubeadm", "kubectl", "kubelet")
# As the manifest in ci/cluster names it; stock clusters pull it.
METRICS_SERVER = "registry.k8s.io/metrics-server/metrics-server"


def name() -> str:
    return f"localhost/iot-system/node:{_version()}"


def ensure(engine: Engine) -> str:
    """The name of the node image, which is on this machine from now on; made in about ten minutes, once.

    Raises NoClusterError where this machine lacks what it needs, GoError without Go, CommandError when a step fails.
    """
    wanted = _stamp()
    if engine.stamp(name()) == wanted:
        return name()
    programs = {tool: tools.folder(tool) for tool in PROGRAMS}
    base_images.ensure(engine, "bookworm")
    with tempfile.TemporaryDirectory(dir=folders.cache(), prefix="node-image-") as made:
        work = Path(made)
        names = system_images(programs["kubernetes"])
        with step("system images of the nodes"):
            _save_system_images(engine, work, programs, names)
        with step(f"node image {name()}") as current:
            node_files.write(
                work / "files",
                go.source(lock.tool("kind")),
                version=_version(),
                sandbox=names["pause"],
                provisioner=_provisioner(),
                helper=base_images.name("bookworm"),
            )
            for program in ON_THE_NODE:
                _copy(programs["kubernetes"] / program, work / "bin")
            for plugin in programs["cni-plugins"].iterdir():
                _copy(plugin, work / "cni")
            build_arguments = ("--build-arg", f"STAMP={wanted}")
            engine.build(RECIPES / "node.Containerfile", work, name(), *build_arguments, stamp=wanted, step=current)
    return name()


def system_images(kubernetes: Path) -> dict[str, str]:
    """The images that kubeadm wants, by program: `{"etcd": "registry.k8s.io/etcd:3.6.5-0", …}`."""
    listed = run(kubernetes / "kubeadm", "config", "images", "list", "--kubernetes-version", _version()).split()
    return {image.rpartition("/")[2].partition(":")[0]: image for image in listed}


def _save_system_images(engine: Engine, work: Path, programs: dict[str, Path], names: dict[str, str]) -> None:
    """Two archives below work/images: the static programs, and those that call iptables with the base they share."""
    images = work / "images"
    images.mkdir()
    kubernetes = programs["kubernetes"]
    static = [
        *(
            ProgramImage(names[part], kubernetes / part)
            for part in names
            if part.startswith("kube-") and part != "kube-proxy"
        ),
        *(ProgramImage(names[part], programs[part] / part) for part in ("etcd", "coredns", "pause")),
        ProgramImage(_provisioner(), programs["local-path-provisioner"] / "local-path-provisioner"),
        ProgramImage(_metrics_server(), programs["metrics-server"] / "metrics-server"),
    ]
    archive.write(images / "programs.tar", static)
    callers = {
        names["kube-proxy"]: kubernetes / "kube-proxy",
        network_policies(): programs["network-policies"] / "network-policies",
    }
    for image, program in callers.items():
        _copy(program, work / program.name)
        engine.build(RECIPES / "iptables.Containerfile", work / program.name, image)
    engine.save(images / "iptables.tar", *callers, base_images.name("bookworm"))


def network_policies() -> str:
    """The image that ci/network-policies.yaml runs."""
    return f"localhost/iot-system/network-policies:v{lock.tool('network-policies').version}"


def _stamp() -> str:
    recipe = [HERE / f"{module}.py" for module in ("node_image", "node_files", "archive")]
    return stamp.of(*map(tools.stamp_of, (*PROGRAMS, "kind")), base_images.name("bookworm"), RECIPES, *recipe)


def _version() -> str:
    return f"v{lock.tool('kubernetes').version}"


def _provisioner() -> str:
    return f"localhost/iot-system/local-path-provisioner:v{lock.tool('local-path-provisioner').version}"


def _metrics_server() -> str:
    return f"{METRICS_SERVER}:v{lock.tool('metrics-server').version}"


def _copy(program: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copy2(program, folder / program.name)
