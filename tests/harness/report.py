"""One page about a run of faults: what flowed, what was done when, and the figures against their limits.

python -m tests.harness.report soak.json > soak.html
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from chart_harness.errors import SettingError
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tests.harness.figures import MEASURES, Document, Kept, Row, findings, read, table

INCHES = (14.0, 3.2)
COLOURS = ("#f2c14e", "#8ecae6")
"""Of faults, in turn."""


def page(document: Document) -> str:
    """HTML that needs nothing beside it."""
    loader = PackageLoader("tests.harness", ".")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html.jinja")
    rounds = [(one, _rows(document, one), plot(one, _rows(document, one))) for one in document.kept]
    return template.render(
        document=document,
        measures=MEASURES,
        table=list(table(document)),
        rounds=rounds,
        acknowledged=sum(one.acknowledged for one in document.kept),
        findings=findings(document.kept),
        when=_clock,
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


def _rows(document: Document, kept: Kept) -> list[Row]:
    return [row for row in document.rows if kept.has(row)]


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (file := Path(sys.argv[1])).is_file():
        sys.exit("python -m tests.harness.report FILE: a file of figures that `make soak` has written")
    try:
        document = read(file)
    except SettingError as error:
        sys.exit(str(error))
    sys.stdout.write(page(document) + "\n")
