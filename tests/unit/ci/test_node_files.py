"""kind's files, fitted: each change is made, and a file that is not as known is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import node_files

FILES = {
    "usr/local/bin/entrypoint": "#!/bin/bash\n",
    "usr/local/bin/clean-install": "#!/bin/bash\n",
    "kind/bin/hook.sh": "#!/bin/bash\n",
    "etc/systemd/system/containerd-fuse-overlayfs.service": "[Unit]\n",
    "etc/systemd/system/containerd.service": (
        "[Service]\nExecStart=/usr/local/bin/containerd\nLimitNPROC=infinity\nTasksMax=infinity\nOOMScoreAdjust=-999\n"
    ),
    "etc/containerd/config.toml": (
        'version = 2\n\n[proxy_plugins]\n[proxy_plugins."x"]\n  type = "snapshot"\n\n[plugins."cri"]\n'
        '  sandbox_image = "old"\n  restrict_oom_score_adj = false\n'
    ),
}
SOURCE = (
    "const defaultStorageManifest = `\nimage: ` + storageProvisionerImage + `\nhelper: ` + storageHelperImage + `\n`\n"
)


@pytest.fixture
def kind(tmp_path: Path) -> Path:
    """A source of kind, read-only as modules are."""
    root = tmp_path / "kind"
    for name, content in FILES.items():
        path = root / node_files.NODE_FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o444)
    source = root / node_files.STORAGE_SOURCE
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    return root


def write(target: Path, kind: Path) -> Path:
    images = {"sandbox": "pause:1", "provisioner": "provisioner:1", "helper": "helper:1"}
    node_files.write(target, kind, version="v1.2.3", **images)
    return target


def test_containerd_is_debians_and_raises_nothing(kind: Path, tmp_path: Path) -> None:
    files = write(tmp_path / "files", kind)
    unit = (files / "etc/systemd/system/containerd.service").read_text()
    assert unit == "[Service]\nExecStart=/usr/bin/containerd\nTasksMax=infinity\n"
    config = (files / "etc/containerd/config.toml").read_text()
    assert config == 'version = 2\n\n[plugins."cri"]\n  sandbox_image = "pause:1"\n  restrict_oom_score_adj = true\n'


def test_what_kind_looks_for_is_there(kind: Path, tmp_path: Path) -> None:
    files = write(tmp_path / "files", kind)
    assert (files / "kind/version").read_text() == "v1.2.3"
    manifest = (files / "kind/manifests/default-storage.yaml").read_text()
    assert manifest == "\nimage: provisioner:1\nhelper: helper:1\n"


def test_programs_can_be_run_and_files_can_be_read(kind: Path, tmp_path: Path) -> None:
    files = write(tmp_path / "files", kind)
    assert (files / "usr/local/bin/entrypoint").stat().st_mode & 0o777 == 0o755
    assert (files / "kind/bin/hook.sh").stat().st_mode & 0o777 == 0o755
    assert (files / "etc/containerd/config.toml").stat().st_mode & 0o777 == 0o644
    assert not (files / "usr/local/bin/clean-install").exists()


def test_a_kind_whose_files_have_changed_is_refused(kind: Path, tmp_path: Path) -> None:
    unit = kind / node_files.NODE_FILES / "etc/systemd/system/containerd.service"
    unit.chmod(0o644)
    unit.write_text("[Service]\nExecStart=/opt/containerd\n")
    with pytest.raises(node_files.NodeFilesError, match=r"containerd\.service of kind has nothing like"):
        write(tmp_path / "files", kind)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("const other = ``", "no storage manifest"),
        (SOURCE.replace("helper: ", "x: ` + third + `"), "more than two images"),
    ],
)
def test_a_storage_manifest_of_another_form_is_refused(source: str, said: str) -> None:
    with pytest.raises(node_files.NodeFilesError, match=said):
        node_files.storage_manifest(source, "a", "b")
