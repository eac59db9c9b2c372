"""What is asked of the chart as a whole: the same bytes each time, no misspelt value taken, no upgrade refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from chart_harness.errors import HelmError
from chart_harness.fixed import in_place, refused_of
from chart_harness.manifests import Rendered, is_custom
from chart_harness.rendering import Chart, Manifest, set_arguments

UNKNOWN = "aKeyThatNobodyKnows"


def deterministic(chart: Rendered) -> Iterator[str]:
    """Rendering twice gives the same bytes."""
    arguments = ("--values", str(chart.values), *set_arguments(chart.sets))
    first, second = (chart.chart.template(*arguments).splitlines() for _ in range(2))
    differing = [line for line, again in zip(first, second, strict=False) if line != again]
    if first != second:
        yield f"rendered twice, it differs: {' '.join((differing or ['the number of lines'])[0].split())}"


def unknown_keys(chart: Rendered) -> Iterator[str]:
    """A values key that the chart does not know is refused, as a misspelt one must be."""
    chart.manifests  # noqa: B018 # which renders: values that are refused as they are say nothing
    try:
        replace(chart, sets={**chart.sets, UNKNOWN: True}).manifests  # noqa: B018 # which renders
    except HelmError as refusal:
        if UNKNOWN not in str(refusal):
            yield f"a key that the chart does not know is refused without its name: {refusal}"
        return
    yield "a key that the chart does not know is taken: `additionalProperties: false` in values.schema.json refuses it"


def upgrade(chart: Rendered) -> Iterator[str]:
    """Nothing changes against the chart before that Kubernetes never lets change; custom resources may change."""
    if chart.previous is None:
        return
    try:
        before = _before(chart, chart.previous)
    except HelmError as refusal:
        yield f"the chart before takes neither these values nor its own of that name: {refusal}"
        return
    old, new = (in_place(one for one in manifests if not is_custom(one)) for manifests in (before, chart.manifests))
    for kind, name in sorted(old.keys() & new.keys()):
        was, is_now = old[kind, name], new[kind, name]
        try:
            fields = refused_of(was, is_now)
        except LookupError as unknown:
            if _without_metadata(was) != _without_metadata(is_now):
                yield f"{kind}/{name} is otherwise than before, and {unknown}"
            continue
        if fields:
            yield f"{kind}/{name}: Kubernetes lets nobody change {', '.join(sorted(fields))} in an upgrade"


def _before(chart: Rendered, previous: Chart) -> list[Manifest]:
    """What the chart before makes of the same values, or, where they are new to it, of its own file of that name.

    Raises HelmError.
    """
    try:
        return previous.render(chart.values, sets=chart.sets)
    except HelmError:
        file, folder = chart.values.resolve(), chart.chart.folder.resolve()
        if not file.is_relative_to(folder):
            raise
        own = previous.folder / file.relative_to(folder)
        if not own.is_file():
            raise
        return previous.render(own, sets=chart.sets)


def _without_metadata(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key != "metadata"}
