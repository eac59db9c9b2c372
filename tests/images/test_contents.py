"""What is in the images, and above all what is not."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator

import pytest

from ci import images
from tests.images.built import Built

USER = 10001
SERVICES = [image for image in images.IMAGES if image.target]
LARGEST_MB = {
    "iot-system/api": 100,
    "iot-system/actor-system": 280,
    "iot-system/nats": 25,
    "iot-system/postgres": 160,
}
"""Bounds above what was measured: see docs/design/2026-11-26-supply-chain.md for what each image consists of."""
BUILD_TOOLS = re.compile(r"(\S+-)?(gcc|g\+\+|cc|c\+\+|clang|ld|as|make|cargo|rustc|go)(-\d+)?")
INSTALLERS = re.compile(r"pip[\d.]*|uv|easy_install|apt(-.+)?|dpkg(-.+)?|gem|npm|curl|wget")
KINDS_OF_SHELL = {"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "rbash", "sh", "tcsh", "zsh"}
SHELLS = {
    "iot-system/api": set[str](),
    "iot-system/actor-system": {"bash", "rbash"},  # Ray starts its workers by way of bash
    "iot-system/nats": {"busybox", "sh"},  # it tells the server when its certificates change
    "iot-system/postgres": {"bash", "rbash", "sh"},  # Postgres itself runs commands by sh; the rest is ours
}


def name(built: Built) -> str:
    return built.image.name


def test_an_image_keeps_below_its_bound(built: Built) -> None:
    assert built.size_mb < LARGEST_MB[name(built)]


def test_an_image_is_run_by_a_user_without_rights(built: Built) -> None:
    assert built.config["User"] == f"{USER}:{USER}"


def test_nothing_in_an_image_compiles_or_installs(built: Built) -> None:
    programs = built.programs()
    assert programs
    assert not {program for program in programs if BUILD_TOOLS.fullmatch(program) or INSTALLERS.fullmatch(program)}
    assert not [path for path in built.files.members if re.search(r"-packages/(pip|setuptools|wheel)[-/]", path)]


def test_an_image_has_no_shell_but_the_one_that_it_needs(built: Built) -> None:
    assert built.programs() & KINDS_OF_SHELL == SHELLS[name(built)]


def test_no_file_gives_its_caller_the_rights_of_another_user(built: Built) -> None:
    assert not [path for path, file in built.files.members.items() if file.mode & (stat.S_ISUID | stat.S_ISGID)]


def test_the_user_that_runs_an_image_can_change_no_file_of_it(built: Built) -> None:
    assert not list(changeable(built))


def changeable(built: Built) -> Iterator[str]:
    """Files that the user may write to; the engine itself makes a few while a container is created."""
    for path, file in built.files.members.items():
        if file.isfile() and file.size and (USER in (file.uid, file.gid) or file.mode & stat.S_IWOTH):
            yield path


@pytest.mark.parametrize("image", SERVICES, indirect=True, ids=lambda image: image.target)
def test_every_module_of_the_standard_library_finds_its_shared_libraries(built: Built) -> None:
    said = built.run("/usr/bin/python3", "-c", EVERY_EXTENSION)
    assert said.split() == ["_curses", "_curses_panel", "_dbm", "readline"]


@pytest.mark.parametrize("image", SERVICES, indirect=True, ids=lambda image: image.target)
def test_a_service_knows_the_public_certificate_authorities(built: Built) -> None:
    said = built.run("/usr/bin/python3", "-c", "import ssl; print(len(ssl.create_default_context().get_ca_certs()))")
    assert int(said) > 100


EVERY_EXTENSION = """
import importlib, pathlib, sysconfig
for path in sorted(pathlib.Path(sysconfig.get_path("stdlib"), "lib-dynload").iterdir()):
    module = path.name.partition(".")[0]
    try:
        if "test" not in module and not module.startswith("xx"):
            importlib.import_module(module)
    except ImportError:
        print(module)
"""
