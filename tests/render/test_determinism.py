"""The same chart and values give the same bytes."""

from __future__ import annotations

import re

from tests.harness import helm
from tests.harness.helm import CHART
from tests.render.rendered import DEVELOPMENT, PRODUCTION, TESTING

VARYING = re.compile(
    r"\b(lookup|now|ago|date\w*|htmlDate\w*|uuidv4|rand\w+|shuffle|derivePassword|htpasswd|bcrypt|gen[A-Z]\w+|getHostByName)\b"
)
ACTION = re.compile(r"{{-?\s*(?!/\*)(.*?)}}", re.DOTALL)


def varying(template: str) -> list[str]:
    """Functions in a template's actions whose result may differ from one run to the next; strings do not count."""
    return [word for action in ACTION.findall(template) for word in VARYING.findall(re.sub(r'"[^"]*"', "", action))]


def test_rendering_twice_gives_the_same_bytes() -> None:
    for values in (DEVELOPMENT, TESTING, PRODUCTION):
        assert helm.template("--values", str(values)) == helm.template("--values", str(values))


def test_no_template_asks_the_clock_or_the_dice_and_only_the_refusal_of_mistakes_the_cluster() -> None:
    templates = [
        *CHART.rglob("*.tpl"),
        *CHART.rglob("templates/**/*.yaml"),
        *CHART.rglob("files/*"),
        *CHART.rglob("*.txt"),
    ]
    assert len(templates) > 40
    found = {path.name: varying(path.read_text()) for path in templates}
    # What is there already may make it refuse, never render otherwise.
    assert {name: set(words) for name, words in found.items() if words} == {"upgrade.yaml": {"lookup"}}


def test_the_search_finds_such_functions() -> None:
    assert varying('{{ randAlphaNum 8 }}{{- lookup "v1" "Secret" "" "" }}{{ now | date "2006" }}') == [
        "randAlphaNum",
        "lookup",
        "now",
        "date",
    ]
