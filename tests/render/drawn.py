"""Installations as users might ask for them: the ones of the tests, with values drawn from the chart's schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tests.harness.helm import CHART
from tests.render.rendered import INSTALLATIONS, Installation

Schema = dict[str, Any]
MOST_CHANGES = 3
"""Of values at a time: mistakes lie between two, hardly ever between more."""
MOST_ITEMS = 3
"""Of a list or a map."""
MOST = 1_000_000
"""Of numbers that no schema bounds."""


def single_values() -> dict[str, Schema]:
    """Every value of the chart that has no values of its own below it: its schema, by dotted path."""
    found = dict(_below("", _read(CHART)))
    for folder in sorted((CHART / "charts").iterdir()):
        if (folder / "values.schema.json").exists():
            found |= dict(_below(f"{folder.name}.", _read(folder)))
    return found


def _read(chart: Path) -> Schema:
    """The schema of a chart. Python's `$` is before a last line break, too; Helm's is not."""
    schema: Schema = json.loads((chart / "values.schema.json").read_text().replace('$"', '\\\\Z"'))
    return schema


def _below(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    definitions = schema.get("definitions", {})
    for name, inner in schema["properties"].items():
        reference = inner.get("$ref", "").removeprefix("#/definitions/")
        known = definitions[reference] if reference else inner
        if "properties" in known:
            yield from _below(f"{path}{name}.", known | {"definitions": definitions})
        elif known.get("type") != "object" or "patternProperties" in known:
            # A plain object is checked by another schema.
            yield f"{path}{name}", known | {"definitions": definitions}


def values(schema: Schema, definitions: Schema) -> st.SearchStrategy[Any]:
    """What a schema admits, of the words that the chart's schemas use."""
    whole = Draft7Validator(schema | {"definitions": definitions})
    match schema:
        case {"$ref": reference}:
            return values(definitions[reference.removeprefix("#/definitions/")], definitions)
        case {"allOf": [{"$ref": reference}, also]}:
            return values(definitions[reference.removeprefix("#/definitions/")] | also, definitions)
        case {"enum": several}:
            return st.sampled_from(several)
        case {"type": list(kinds)}:
            return st.one_of([values(schema | {"type": kind}, definitions) for kind in kinds])
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "integer", "minimum": least, "maximum": most}:
            return st.integers(least, most)
        case {"type": "number", "exclusiveMinimum": least}:
            return st.floats(least, schema.get("maximum", MOST), exclude_min=True)
        case {"type": "string"}:
            text = st.from_regex(schema["pattern"]) if "pattern" in schema else st.text()
            return text.filter(whole.is_valid)
        case {"type": "array", "items": items}:
            return st.lists(values(items, definitions), min_size=schema.get("minItems", 0), max_size=MOST_ITEMS)
        case {"type": "object", "properties": known}:
            each = {name: values(inner, definitions) for name, inner in known.items()}
            always = {name: each.pop(name) for name in schema.get("required", [])}
            return st.fixed_dictionaries(always, optional=each).filter(whole.is_valid)
        case {"type": "object", "patternProperties": patterns}:
            [(pattern, inner)] = patterns.items()
            return st.dictionaries(st.from_regex(pattern), values(inner, definitions), max_size=MOST_ITEMS)
    raise NotImplementedError(f"draw values of {schema} here")


STRATEGIES = {path: values(schema, schema["definitions"]) for path, schema in single_values().items()}


@st.composite
def installations(draw: st.DrawFn) -> Installation:
    """One of INSTALLATIONS, by its name, in which some single values are other ones."""
    base = draw(st.sampled_from(INSTALLATIONS))
    paths = draw(st.lists(st.sampled_from(sorted(STRATEGIES)), min_size=1, max_size=MOST_CHANGES, unique=True))
    drawn = {path: draw(STRATEGIES[path]) for path in paths}
    return Installation(base.name, base.values, {**base.sets, **drawn})
