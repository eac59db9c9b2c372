"""What the READMEs and guides name is there: files, make targets, and variables, set before they are used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "charts" / "iot-system" / "README.md"]
GUIDES += [ROOT / "tests" / "harness" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def commands(text: str) -> str:
    """What stands in the shell blocks."""
    return "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL))


def links(text: str) -> set[str]:
    """Targets of links, without those that lead outside or into the same page."""
    return {link for link in re.findall(r"\]\(([^)#\s]+)", text) if not re.match(r"[a-z]+:", link)}


def targets(text: str) -> set[str]:
    """Make targets, in shell blocks and between backticks."""
    told = [commands(text), *re.findall(r"`(make [^`]+)`", text)]
    return {target for one in told for target in re.findall(r"\bmake (?:-s )?([a-z][a-z-]*)", one)}


def unset(text: str) -> set[str]:
    """Shell variables in small letters that no command sets."""
    shell = commands(text)
    given = re.findall(r"^(?:for )?([a-z_]+)(?:=| in )", shell, re.MULTILINE)
    return set(re.findall(r"\$([a-z_]+)", shell)) - set(given)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_link_leads_to_a_file(guide: Path) -> None:
    assert {link for link in links(guide.read_text()) if not (guide.parent / link).exists()} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_make_target_is_in_the_makefile(guide: Path) -> None:
    assert targets(guide.read_text()) <= TARGETS


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_variable_of_a_command_is_set_by_an_earlier_one(guide: Path) -> None:
    assert unset(guide.read_text()) == set()


def test_what_is_missing_is_found() -> None:
    text = "See [it](docs/it.md), [far](https://example.org), `make all`.\n```sh\na=1\nmake -s x\n"
    text += 'for c in 1; do echo "$a $b $c"; done\n```\n'
    assert links(text) == {"docs/it.md"}
    assert targets(text) == {"all", "x"}
    assert unset(text) == {"b"}


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS == set(re.findall(r"^([a-z-]*):.*## ", MAKEFILE, re.MULTILINE))


def test_every_part_of_the_harness_stands_in_the_table_of_parts() -> None:
    table = (ROOT / "docs" / "chart-tests.md").read_text().partition("## Which part does what")[2]
    there = [path for path in (ROOT / "tests" / "harness").iterdir() if path.name != "__init__.py"]
    modules = {path.stem for path in there if path.suffix == ".py"}
    folders = {f"{path.name}/" for path in there if (path / "__init__.py").exists()}
    assert {name for name in modules | folders if f"`{name}`" not in table} == set()
