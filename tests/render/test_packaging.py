"""The chart as a package: what is in it, and how users get it from a registry or a repository of charts."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from chart_harness.errors import HelmError

from ci import git, release
from ci.folders import ROOT
from tests.harness import charts, helm
from tests.harness.charts import HelmUser
from tests.harness.registry import running_registry
from tests.render.rendered import TESTING

VERSION = release.version()
KEY = "iot-system tests"


class Helm(HelmUser):
    """Who renders the chart, too."""

    def template(self, *chart: str | Path) -> str:
        """What the chart makes of values/testing.yaml."""
        given = ("--namespace", helm.NAMESPACE, "--kube-version", helm.KUBERNETES, "--values", TESTING)
        return self("template", helm.RELEASE, *chart, *given)


@pytest.fixture
def user(tmp_path: Path) -> Helm:
    return Helm(tmp_path / "helm")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return charts.package(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """A place for charts in an OCI registry."""
    with running_registry() as address:
        yield f"oci://{address}/charts"


@pytest.fixture
def repository(package: Path, tmp_path: Path) -> Iterator[str]:
    """A repository of charts."""
    with charts.repository(package, tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Path]]:
    """A key of gpg for these tests, and the file with its public half that users have."""
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed: the package gnupg brings it")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", str(home))
        making = ("gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY, "rsa3072", "sign", "never")
        subprocess.run(making, check=True, capture_output=True)
        ring = home / "ring.gpg"
        subprocess.run(["gpg", "--output", ring, "--export", KEY], check=True, capture_output=True)
        yield {"ring": ring}
        subprocess.run(["gpgconf", "--kill", "all"], check=True)


def test_every_chart_has_the_programs_version() -> None:
    assert release.disagreements() == []


def test_the_same_tree_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / release.CHART, copy / release.CHART, copy_function=shutil.copyfile)
    assert release.package(copy, tmp_path, charts.TIME_S).read_bytes() == package.read_bytes()


def test_it_has_the_files_of_the_repository_and_no_others(package: Path) -> None:
    with tarfile.open(package) as archive:
        packed = {entry.name for entry in archive}
    kept = git.call("ls-files", "--cached", "--others", "--exclude-standard", "-z", f"{release.CHART}").split("\0")
    left_out = f"{release.CHART}/ci/"
    assert packed == {name.removeprefix("charts/") for name in kept if name and not name.startswith(left_out)}


def test_it_renders_what_the_folder_renders(package: Path, user: Helm) -> None:
    assert user.template(package) == helm.template("--values", str(TESTING))


def test_it_is_pushed_to_a_registry_and_rendered_from_there(
    package: Path, registry: str, user: Helm, tmp_path: Path
) -> None:
    user("push", package, registry, "--plain-http")
    there = (f"{registry}/iot-system", "--version", VERSION, "--plain-http")
    user("pull", *there, "--destination", tmp_path)
    assert (tmp_path / package.name).read_bytes() == package.read_bytes()
    assert user.template(*there) == helm.template("--values", str(TESTING))
    assert f"version: {VERSION}" in user("show", "chart", *there)


def test_it_is_found_in_a_repository_and_rendered_from_there(repository: str, user: Helm) -> None:
    user("repo", "add", "ours", repository)
    assert VERSION in user("search", "repo", "ours/iot-system")
    assert user.template("ours/iot-system", "--version", VERSION) == helm.template("--values", str(TESTING))


def test_its_signature_is_verified_and_covers_every_byte(
    package: Path, keys: Mapping[str, Path], user: Helm, tmp_path: Path
) -> None:
    made = Path(shutil.copy(package, tmp_path))
    release.sign(made, KEY)
    assert KEY in user("verify", made, "--keyring", keys["ring"])
    made.write_bytes(made.read_bytes() + b"\0")
    with pytest.raises(HelmError, match="sha256 sum does not match"):
        user("verify", made, "--keyring", keys["ring"])


def test_a_signature_travels_with_the_package(
    package: Path, keys: Mapping[str, Path], registry: str, user: Helm, tmp_path: Path
) -> None:
    made = Path(shutil.copy(package, tmp_path))
    release.sign(made, KEY)
    user("push", made, f"{registry}/signed", "--plain-http")
    there = (f"{registry}/signed/iot-system", "--version", VERSION, "--plain-http")
    assert user.template(*there, "--verify", "--keyring", keys["ring"])
