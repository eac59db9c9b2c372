"""One page about a run of faults: what flowed, what was done when, and the figures against their limits.

python -m tests.harness.report soak.json > soak.html
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tests.harness.figures import MEASURES, Document, Kept, Row, percentile, read

PERCENTS = (50, 95, 100)
INCHES = (14.0, 3.2)
COLOURS = ("#f2c14e", "#8ecae6")
"""Of faults, in turn."""


def page(document: Document) -> str:
    """HTML that needs nothing beside it."""
    loader = PackageLoader("tests.harness", ".")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html.jinja")
    rounds = [(one, _rows(document, one), plot(one, _rows(document, one))) for one in document.kept]
    total = {name: sum(getattr(one, name) for one in document.kept) for name in ("acknowledged", "lost", "doubled")}
    return template.render(
        document=document, measures=MEASURES, table=list(_table(document)), rounds=rounds, total=total, when=_clock
    )


def plot(kept: Kept, rows: Iterable[Row]) -> str:
    """What was acknowledged in each second of a round, with its faults behind, as SVG."""
    figure = Figure(figsize=INCHES, layout="tight")
    axes = figure.subplots()
    seconds = range(min(kept.seconds, default=0), max(kept.seconds, default=0) + 1)
    for way in dict.fromkeys(way for ways in kept.seconds.values() for way in ways):
        axes.plot(seconds, [kept.seconds.get(second, {}).get(way, 0) for second in seconds], label=way, linewidth=0.9)
    for number, row in enumerate(rows):
        axes.axvspan(
            row.began_s, row.began_s + row.ready_s, color=COLOURS[number % len(COLOURS)], alpha=0.35, linewidth=0
        )
        axes.annotate(row.fault, (row.began_s, 1), xycoords=("data", "axes fraction"), rotation=35, fontsize=7)
    axes.set_ylabel("readings/s acknowledged")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: _clock(at_s)))
    axes.legend(loc="lower right", fontsize=7)
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    return svg[svg.index("<svg") :]


def _table(document: Document) -> Iterable[tuple[str, int, list[tuple[list[float], float | None]], int]]:
    """Fault, its rounds, for each measure its percentiles and limit, and commits that were refused."""
    for fault in dict.fromkeys(row.fault for row in document.rows):
        rows = [row for row in document.rows if row.fault == fault]
        cells = []
        for measure in MEASURES:
            found = [getattr(row, measure) for row in rows]
            limit = document.limits.get(fault, {}).get(measure)
            cells.append(([percentile(found, percent) for percent in PERCENTS], limit))
        yield fault, len(rows), cells, sum(row.refused for row in rows)


def _rows(document: Document, kept: Kept) -> list[Row]:
    return [row for row in document.rows if row.round == kept.round]


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (file := Path(sys.argv[1])).is_file():
        sys.exit("python -m tests.harness.report FILE: a file of figures that `make soak` has written")
    sys.stdout.write(page(read(file)) + "\n")
