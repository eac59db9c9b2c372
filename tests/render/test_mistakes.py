"""The tests of the chart find what they are there for: mistakes of one line, planted one at a time (mistakes.toml)."""

from __future__ import annotations

import importlib
import inspect
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.harness import helm
from tests.render.rendered import INSTALLATIONS, Installation

FOUND = (AssertionError, LookupError, ValueError, pytest.fail.Exception)
"""How a test ends that looks at a chart in which something is wrong; HelmError is not among them."""


@dataclass(frozen=True)
class Mistake:
    """A line of a file of the chart that is another one, and the test, as `module::function`, that says so."""

    what: str
    file: str
    old: str
    new: str
    found_by: str
    of: str = "production"

    def plant(self, folder: Path) -> Path:
        """A copy of the chart with the mistake. Raises ValueError where the line is not there, or more than once."""
        chart = Path(shutil.copytree(helm.CHART, folder / "chart"))
        lines = (chart / self.file).read_text().splitlines()
        found = [number for number, line in enumerate(lines) if line.strip() == self.old]
        if len(found) != 1:
            raise ValueError(f"{self.file} has the line {self.old!r} {len(found)} times: plant the mistake elsewhere")
        indentation = lines[found[0]].removesuffix(self.old)
        lines[found[0]] = f"{indentation}{self.new}" if self.new else ""
        (chart / self.file).write_text("\n".join(lines) + "\n")
        return chart

    def test(self) -> Callable[..., None]:
        """The test that finds it. Raises ModuleNotFoundError or AttributeError where there is none of that name."""
        module, _, name = self.found_by.partition("::")
        function: Callable[..., None] = getattr(importlib.import_module(f"tests.render.{module}"), name)
        return function

    def __str__(self) -> str:
        return self.what


MISTAKES = [Mistake(**one) for one in tomllib.loads(Path(__file__).with_name("mistakes.toml").read_text())["mistake"]]


def cases(test: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """The arguments of a test's cases, as pytest would make them of its `parametrize` marks."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in product(*(_sets(*mark.args) for mark in marks)):
        yield {name: value for part in chosen for name, value in part.items()}


def _sets(names: str | Sequence[str], values: Iterable[Any]) -> list[dict[str, Any]]:
    if not isinstance(names, str):
        return [dict(zip(names, value, strict=True)) for value in values]
    # Not yet rendered: those of the tests were, of the chart as it is.
    return [{names: replace(value) if isinstance(value, Installation) else value} for value in values]


def prepared(mistake: Mistake) -> list[Callable[[], None]]:
    """The test in each of its cases, on the installation that the mistake names where it takes one.

    What is not rendered at all, or called with other arguments than it takes, would seem to have found something.
    """
    test = mistake.test()
    installation = next(replace(one) for one in INSTALLATIONS if one.name == mistake.of)
    assert installation.manifests
    taken = {"installation": installation} if "installation" in inspect.signature(test).parameters else {}
    arguments = [taken | case for case in cases(test)]
    assert arguments
    for one in arguments:
        inspect.signature(test).bind(**one)
    return [partial(test, **one) for one in arguments]


def run(tests: Iterable[Callable[[], None]]) -> None:
    """All of them."""
    for test in tests:
        test()


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_planted_mistake_is_found(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "CHART", mistake.plant(tmp_path))
    tests = prepared(mistake)
    with pytest.raises(FOUND):
        run(tests)


def test_a_line_that_is_no_mistake_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = replace(MISTAKES[0], new=MISTAKES[0].old)
    monkeypatch.setattr(helm, "CHART", harmless.plant(tmp_path))
    run(prepared(harmless))


def test_a_line_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"deployment.yaml has the line 'gone' 0 times: plant the mistake elsewhere"):
        replace(MISTAKES[0], old="gone").plant(tmp_path)


def test_the_mistakes_are_many_and_of_every_part_of_the_chart() -> None:
    assert len(MISTAKES) >= 30
    assert len({one.what for one in MISTAKES}) == len(MISTAKES)
    parts = {Path(one.file).parts[1] for one in MISTAKES if one.file.startswith("charts/")}
    assert parts == {path.name for path in (helm.CHART / "charts").iterdir()}
