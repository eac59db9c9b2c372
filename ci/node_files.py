"""kind's own files of a node, taken from its Go module and fitted to Debian's containerd.

Without CAP_SYS_RESOURCE nothing may raise a limit or lower an out-of-memory score; with it, nothing needs to.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ci.errors import CiError

NODE_FILES = "images/base/files"
STORAGE_SOURCE = "pkg/build/nodeimage/const_storage.go"
Change = tuple[str, str]
"""A pattern and what takes its place."""


class NodeFilesError(CiError):
    """kind's files are not as this recipe knows them: another release of kind needs another recipe."""


def write(target: Path, kind: Path, *, version: str, sandbox: str, provisioner: str, helper: str) -> None:
    """The files as they go over a node's root.

    `kind` is the source of kind, `version` that of Kubernetes (v1.34.4), `sandbox` the image that holds a pod's
    namespaces, `provisioner` and `helper` the images of the default storage class.
    """
    shutil.copytree(kind / NODE_FILES, target)
    for path in [target, *target.rglob("*")]:  # a module's files are read-only, and none is executable
        program = path.is_dir() or path.parent.name == "bin"
        path.chmod(0o755 if program else 0o644)
    (target / "usr/local/bin/clean-install").unlink()
    (target / "etc/systemd/system/containerd-fuse-overlayfs.service").unlink()
    _change(
        target / "etc/systemd/system/containerd.service",
        (r"/usr/local/bin/containerd$", "/usr/bin/containerd"),
        (r"^(OOMScoreAdjust|Limit\w+)=.*\n", ""),
    )
    _change(
        target / "etc/containerd/config.toml",
        (r"restrict_oom_score_adj = false", "restrict_oom_score_adj = true"),
        (r"sandbox_image = .*", f'sandbox_image = "{sandbox}"'),
        (r"^\[proxy_plugins\][\s\S]*?\n\n", ""),
    )
    (target / "kind/version").write_text(version)
    (target / "kind/manifests").mkdir()
    manifest = storage_manifest((kind / STORAGE_SOURCE).read_text(), provisioner, helper)
    (target / "kind/manifests/default-storage.yaml").write_text(manifest)


def storage_manifest(source: str, provisioner: str, helper: str) -> str:
    """The manifest that stands in kind's source as a constant, with these two images."""
    found = re.search(r"const defaultStorageManifest = `(.*)`\s*$", source, re.DOTALL)
    if not found:
        raise NodeFilesError(f"{STORAGE_SOURCE} of kind has no storage manifest where it is looked for")
    manifest = found[1]
    for constant, image in (("storageProvisionerImage", provisioner), ("storageHelperImage", helper)):
        manifest = manifest.replace(f"` + {constant} + `", image)
    if "`" in manifest:
        raise NodeFilesError(f"the storage manifest in {STORAGE_SOURCE} of kind names more than two images")
    return manifest


def _change(path: Path, *changes: Change) -> None:
    text = path.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if not count:
            raise NodeFilesError(f"{path.name} of kind has nothing like {pattern!r}")
    path.write_text(text)
