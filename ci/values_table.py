"""The table of values in the chart's README, from its commented values.yaml; `ci check lint` holds them together.

python -m ci.values_table          writes it into charts/iot-system/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from ci.folders import ROOT

CHART = ROOT / "charts" / "iot-system"
VALUES = CHART / "values.yaml"
README = CHART / "README.md"
BEGIN = "<!-- from values.yaml: begin -->\n"
END = "<!-- from values.yaml: end -->\n"
ASIDE = ("resources",)
"""Keys whose maps are shown as one value."""


def table(text: str) -> str:
    """The Markdown table of all values in a commented values.yaml.

    Raises ValueError that names a value without a comment.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    rows = [f"| `{path}` | `{json.dumps(value)}` | {comment} |\n" for path, value, comment in values(text, root)]
    return "| value | default | what |\n| --- | --- | --- |\n" + "".join(rows)


def values(text: str, mapping: yaml.MappingNode, prefix: str = "") -> Iterator[tuple[str, object, str]]:
    """Path, default and comment of every value below a mapping, in the order of the file."""
    for key, value in mapping.value:
        path = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode) and value.value and key.value not in ASIDE:
            yield from values(text, value, f"{path}.")
        else:
            comment = comment_above(text.splitlines(), key.start_mark.line)
            if not comment:
                raise ValueError(f"values.yaml says nothing about {path}")
            yield path, yaml.SafeLoader("").construct_object(value, deep=True), comment


def comment_above(lines: list[str], line: int) -> str:
    """The comment that ends right above a line, as one text."""
    words: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        words.insert(0, lines[line].lstrip().lstrip("#").strip())
    return " ".join(words)


def replaced(readme: str) -> str:
    """The README with the table of today's values.yaml. Raises ValueError where the marks are missing."""
    before, rest = readme.split(BEGIN)
    _old, after = rest.split(END)
    return f"{before}{BEGIN}{table(VALUES.read_text())}{END}{after}"


def outdated() -> list[str]:
    """A sentence where the README shows other values than values.yaml, or a value has no comment."""
    try:
        fits = README.read_text() == replaced(README.read_text())
    except ValueError as error:
        return [str(error)]
    return [] if fits else [f"{README.relative_to(ROOT)} shows other values: run `python -m ci.values_table`"]


if __name__ == "__main__":
    README.write_text(replaced(README.read_text()))
