"""What each values file renders, as it was when somebody last looked: a change of the chart shows as one of manifests.

A change that was meant is written down, and looked at in the diff of the commit:

    make test-render ARGS="-k snapshots --snapshot-update"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests.render.rendered import DEVELOPMENT, EXTERNAL, PRODUCTION, TESTING, Installation

FILES = (
    Installation("development", (DEVELOPMENT,)),
    Installation("testing", (TESTING,)),
    Installation("production", (PRODUCTION,)),
    Installation("external", (PRODUCTION, EXTERNAL)),
)


class Dumper(yaml.CSafeDumper):
    """Files within a manifest line by line."""


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _text)


class Manifests(SingleFileSnapshotExtension):
    """A YAML file for each values file, object by object."""

    _write_mode = WriteMode.TEXT
    file_extension = "yaml"

    def serialize(self, data: Any, **_: Any) -> str:
        """The text of manifests, by kind and name, each below a line that says which one it is."""
        named = {f"# {one['kind']}/{one['metadata']['name']}\n": one for one in data}
        return "---\n".join(name + yaml.dump(one, Dumper=Dumper, width=120) for name, one in sorted(named.items()))

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """What differs in which object: `-` as it was, `+` as it is."""
        before, after = _objects(snapshot_data), _objects(serialized_data)
        for name in sorted(before.keys() | after.keys()):
            lines = difflib.unified_diff(before.get(name, []), after.get(name, []), lineterm="")
            if changed := [*lines][2:]:
                yield from (name, *changed)


def _objects(text: str) -> dict[str, list[str]]:
    return {name: lines for name, *lines in map(str.splitlines, text.split("\n---\n"))}


@pytest.fixture
def kept(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """What was looked at."""
    return snapshot.use_extension(Manifests)


@pytest.mark.parametrize("values", FILES, ids=str)
def test_what_a_values_file_renders_is_what_was_looked_at(values: Installation, kept: SnapshotAssertion) -> None:
    assert values.manifests == kept


def test_a_difference_names_the_object_that_it_is_in() -> None:
    job, pod = ({"kind": kind, "metadata": {"name": "x"}} for kind in ("Job", "Pod"))
    before, after = (Manifests().serialize([job, {**pod, "spec": {"file": f"a\n{line}\n"}}]) for line in "bc")
    head = ["# Pod/x", "@@ -4,4 +4,4 @@", " spec:", "   file: |", "     a"]
    assert [*Manifests().diff_lines(after, before)] == [*head, "-    b", "+    c"]


def test_no_snapshot_is_left_over() -> None:
    kept = Path(__file__).parent / "__snapshots__" / "test_snapshots"
    assert len([*kept.iterdir()]) == len(FILES)
