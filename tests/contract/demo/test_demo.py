"""`iot-system demo`: the whole system as processes on this machine, with the shipped sample."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from chart_harness.loopback import free_port

from tests.harness import occupancy
from tests.harness.rows import same

pytestmark = pytest.mark.heavy
DEADLINE_S = 280
HEATER = "office-heater"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where the demo puts its folder: short, because Ray's sockets stand in it."""
    folder = Path(f"/tmp/d{os.getpid()}")
    folder.mkdir()
    try:
        yield folder
    finally:
        assert list(folder.iterdir()) == [], "the demo has left something behind"
        folder.rmdir()


def start(scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "iot_system", "demo", *arguments],
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def processes_in(scratch: Path) -> list[str]:
    """Command lines of processes that name the folder, in their arguments or as their working directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().replace("\0", " ")
            where = os.readlink(process / "cwd")
        except OSError:
            continue
        if str(scratch) in command or where.startswith(str(scratch)):
            found.append(command)
    return found


def test_the_summary_has_the_figures_of_the_sample(scratch: Path, tmp_path: Path) -> None:
    figures_file = tmp_path / "figures.json"
    demo = start(scratch, "--exit", "--json", str(figures_file))
    out, err = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 0, out + err
    figures = json.loads(figures_file.read_text())
    readings = list(occupancy.entries())
    assert figures["readings"] == len(readings) == 48_858
    assert f"Room office: {len(readings):,} readings" in out
    check_hours(figures["hours"])
    check_room(figures["room"])
    check_devices(figures["devices"])
    check_set_points(figures["behaviours"]["set_points"])
    check_alarm(figures["behaviours"]["alarm"])
    assert processes_in(scratch) == []


def check_hours(hours: list[dict[str, Any]]) -> None:
    expected = occupancy.hours()
    assert [hour["ts"] for hour in hours] == sorted(expected)
    for hour in hours:
        values = expected[hour["ts"]]
        assert hour["count"] == {metric: len(found) for metric, found in values.items()}
        assert hour["avg"].keys() == values.keys() - {"occupancy"}
        for metric, average in hour["avg"].items():
            assert same(average, fmean(values[metric])), (hour["ts"], metric)


def check_room(room: dict[str, Any]) -> None:
    assert sorted(room["members"]) == sorted([*occupancy.DEVICES, HEATER])
    expected = occupancy.room()
    assert room["metrics"].keys() == expected.keys()
    for metric, found in room["metrics"].items():
        one = expected[metric]
        assert (found["last"]["value"], found["count"]) == (one.last, one.count)
        for found_number, number in ((found["min"], one.min), (found["max"], one.max), (found["avg"], one.avg)):
            assert same(found_number, number), metric


def check_devices(devices: dict[str, dict[str, Any]]) -> None:
    newest = {(one.device, one.metric): (one.ts, one.value) for one in sorted(occupancy.entries(), key=lambda e: e.ts)}
    found = {
        (device, metric): (latest["ts"], latest["value"])
        for device, twin in devices.items()
        for metric, latest in twin["latest"].items()
    }
    assert found == newest


def check_set_points(told: list[dict[str, Any]]) -> None:
    changes = occupancy.set_points()
    assert [set_point for set_point, _ in groupby(told, key=lambda one: one["set_point"])] == changes
    assert len(changes) > 5
    occupancy.check_heating([(one["set_point"], one["heating"]) for one in told])


def check_alarm(told: list[dict[str, Any]]) -> None:
    assert [(one["phase"], one["since"], one["value"]) for one in told] == occupancy.alarm_phases()
    assert sum(one["phase"] == "active" for one in told) > 2


def test_a_broken_line_is_told_with_its_number_and_harms_no_other(scratch: Path, tmp_path: Path) -> None:
    lines = occupancy.SAMPLE.read_text().splitlines()[:101]
    lines[42] = lines[42].replace("2015", "twenty-fifteen")
    data = tmp_path / "mine.csv"
    data.write_text("\n".join(lines) + "\n")
    figures_file = tmp_path / "figures.json"
    demo = start(scratch, "--exit", f"--data={data}", "--json", str(figures_file))
    out, err = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 0, out + err
    assert re.search(r"line 43 was left out: .*twenty-fifteen", out), out
    assert json.loads(figures_file.read_text())["readings"] == 99 * 6


def test_it_serves_until_ctrl_c_and_leaves_nothing_behind(scratch: Path, tmp_path: Path) -> None:
    data = tmp_path / "short.csv"
    data.write_text("\n".join(occupancy.SAMPLE.read_text().splitlines()[:11]) + "\n")
    port = free_port()
    demo = start(scratch, f"--data={data}", f"--http-port={port}")
    try:
        assert demo.stdout is not None
        said = ""
        for line in demo.stdout:
            said += line
            if "mosquitto_pub" in line:
                break
        token = re.search(r"Administrator's token of this run: (\S+)", said)
        assert token, said
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/rooms/office/twin", headers={"Authorization": f"Bearer {token[1]}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            room = json.load(answer)
        assert room["metrics"]["co2"]["count"] == 10
        assert room["desired"].keys() == {"thermostat"}, "what it has written to see the end is gone"
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
        assert demo.returncode == 0, said + out + err
    finally:
        demo.kill()
        demo.wait()
    assert processes_in(scratch) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read"), ("a,b\n1,2\n", "must name the columns"), ("", "must name the columns")],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_before_anything_starts(
    scratch: Path, tmp_path: Path, content: str | None, why: str
) -> None:
    data = tmp_path / "mine.csv"
    if content is not None:
        data.write_text(content)
    demo = start(scratch, f"--data={data}")
    out, err = demo.communicate(timeout=DEADLINE_S)
    assert (demo.returncode, out) == (1, "")
    assert why in err
    assert err.count("\n") == 1
