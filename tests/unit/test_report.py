"""The page of a run stands alone, and shows what was lost, what was beyond its limit, and when what was done."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ci.folders import ROOT
from tests.harness.figures import Document, Kept, Moment, Row
from tests.harness.report import page

BEGAN_S = 1_700_000_000.0


def document(*, lost: int = 0, late: int = 0, mqtt_s: float = 1.0) -> Document:
    moments = (Moment(0.2, "api-0 <is> deleted"), Moment(4.0, "all pods are ready"))
    row = Row("api-pod", 1, mqtt_s, 0.5, 0.7, 4.0, 0, 1.5, BEGAN_S, moments)
    seconds = {int(BEGAN_S) + number: {"MQTT": 80, "REST": 60} for number in range(5)}
    kept = Kept(1, ("api-pod",), 12_345, {"lost": lost, "doubled": 0, "late": late}, seconds)
    return Document("2023-11-14T22:13:20+00:00", "a machine", {"api-pod": {"mqtt_s": 2.0}}, [row], [kept])


def test_the_page_needs_nothing_beside_it() -> None:
    text = page(document())
    assert "<svg" in text
    assert not any(word in text for word in ("<script", "<link", "<img", 'src="'))


def test_the_time_line_says_what_was_done_when() -> None:
    text = page(document())
    assert "22:13:20 api-pod" in text
    assert "+0.2 s api-0 &lt;is&gt; deleted" in text
    assert "12,345 readings acknowledged" in text


@pytest.mark.parametrize(
    ("made", "beyond"),
    [
        (document(), []),
        (document(mqtt_s=2.1), ["2.1 / 2.1 / 2.1 (≤ 2)"]),
        (document(lost=3), ["3 lost", "3 lost"]),  # of the run, and of its round
        (document(late=1), ["1 late", "1 late"]),
    ],
)
def test_what_is_not_as_it_should_be_stands_out(made: Document, beyond: list[str]) -> None:
    assert re.findall('class="beyond">([^<]*)', page(made)) == beyond


def test_a_round_that_was_gone_on_with_is_shown_by_its_parts() -> None:
    first = document()
    (row,), (kept,) = first.rows, first.kept
    later = msgspec.structs.replace(row, fault="node", began_s=BEGAN_S + 3600)
    rest = msgspec.structs.replace(kept, faults=("node",), acknowledged=5)
    text = page(msgspec.structs.replace(first, rows=[row, later], kept=[kept, rest]))
    assert "12,350 readings acknowledged" in text
    assert re.findall("<dt>([^<]*)|<h2>([^<]*)", text) == [
        ("", "Round 1"),
        ("22:13:20 api-pod", ""),
        ("", "Round 1"),
        ("23:13:20 node", ""),
    ]


def test_a_program_makes_it_of_the_file_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = (sys.executable, "-m", "tests.harness.report", file)
    missing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    assert missing.stderr.strip().endswith("a file of figures that `make soak` has written")
    file.write_bytes(msgspec.json.encode(document()))
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout.startswith("<!doctype html>")


def test_a_round_that_did_not_come_to_its_end_has_its_figures() -> None:
    text = page(msgspec.structs.replace(document(), kept=[]))
    assert "<svg" not in text
    assert "api-pod" in text
