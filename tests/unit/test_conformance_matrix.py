"""docs/mqtt-conformance.md: each rule of both standards once, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "mqtt-conformance.md").read_text()
BREAKS = "tests/contract/conformance/test_breaks.py"
EXCUSES = ("Client's duty", "Not sent: ", "Not offered: ")

RULES_3_1_1 = """
1.5.3:3 2.2.2:2 2.3.1:7
3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2
3.6.1:1 3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3
4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2 4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4
"""
"""Of appendix B: how many there are of each section, numbered from 1."""

RULES_5 = """
1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:2-6 2.2.2:1
3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13 3.3.2:20 3.3.4:10
3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2
3.10.1:1 3.10.3:2 3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3
4.1.0:2 4.2.0:1 4.3.1:1 4.3.2:5 4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4
4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1 4.13.2:1 6.0.0:4
"""
"""The same; the standard has no MQTT-2.2.1-1."""

VERSIONS = {"MQTT 3.1.1": RULES_3_1_1, "MQTT 5": RULES_5}


class Row(NamedTuple):
    """A line of a table: the rule's id, the rule, and its tests or why there are none."""

    id: str
    rule: str
    tests: str


def expected(rules: str) -> list[str]:
    ids = []
    for entry in rules.split():
        section, numbers = entry.split(":")
        first, _, last = numbers.rpartition("-")
        ids += [f"MQTT-{section}-{number}" for number in range(int(first or 1), int(last) + 1)]
    return ids


def rows(version: str, text: str = TEXT) -> list[Row]:
    chapter = text.partition(f"\n## {version}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in chapter.splitlines() if line.startswith("| MQTT-")]
    return [Row(*(cell.strip() for cell in line)) for line in lines]


def named(text: str) -> set[tuple[str, str]]:
    """The tests that a text names: file and function."""
    return set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text))


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def broken_rules() -> dict[str, frozenset[str]]:
    """By test of `BREAKS` the rules that it has a packet for: the first words of its parameters' names."""
    tree = ast.parse((ROOT / BREAKS).read_text())
    tables: dict[str, frozenset[str]] = {}
    found: dict[str, frozenset[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            names = [ast.literal_eval(one.elts[0]) for one in node.value.elts if isinstance(one, ast.Tuple)]
            tables[ast.unparse(node.targets[0])] = frozenset(f"MQTT-{name.split()[0]}" for name in names)
        elif isinstance(node, ast.AsyncFunctionDef):
            (table,) = re.findall(r"named\((\w+)\)", ast.unparse(node.decorator_list[0]))
            found[node.name] = tables[table]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_each_rule_of_the_standard_has_one_row_in_its_order(version: str) -> None:
    assert [one.id for one in rows(version)] == expected(VERSIONS[version])


def test_the_text_counts_the_rules_as_they_are() -> None:
    counts = [len(expected(rules)) for rules in VERSIONS.values()]
    assert "chapters 1 to 6: {} and {}.".format(*counts) in " ".join(TEXT.split())


@pytest.mark.parametrize("version", VERSIONS)
def test_each_row_says_the_rule_shortly_and_has_a_test_or_an_excuse(version: str) -> None:
    for row in rows(version):
        assert 0 < len(row.rule.split()) <= 15, row.id
        assert named(row.tests.partition(";")[0]) or row.tests.startswith(EXCUSES), row.id


def test_each_test_that_is_named_exists() -> None:
    missing = {f"{file}::{name}" for file, name in named(TEXT) if name not in functions(file)}
    assert missing == set()
    assert len(named(TEXT)) == len(set(re.findall(r"tests/[\w/]+\.py::\w+", TEXT)))


@pytest.mark.parametrize("version", VERSIONS)
def test_there_is_a_packet_for_each_rule_that_is_held_by_breaking_it(version: str) -> None:
    for row in rows(version):
        if row.tests.startswith(EXCUSES):
            continue
        for file, name in named(row.tests):
            assert file != BREAKS or row.id in broken_rules()[name], row


def test_what_is_missing_is_found() -> None:
    text = "\n## MQTT 5\n\n| MQTT-1.5.4-1 | a rule | `tests/unit/test_x.py::test_y`; so |\n\n## Other\n| MQTT-2 | | |\n"
    assert rows("MQTT 5", text) == [Row("MQTT-1.5.4-1", "a rule", "`tests/unit/test_x.py::test_y`; so")]
    assert named(text) == {("tests/unit/test_x.py", "test_y")}
    assert expected("1.2.3:2 4.5.6:2-3") == ["MQTT-1.2.3-1", "MQTT-1.2.3-2", "MQTT-4.5.6-2", "MQTT-4.5.6-3"]
