"""CSV files of the sample's form: what a line becomes, and what becomes of a broken one."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest
from iot_system.commands.occupancy import DEVICES, Sample, read_sample, shipped_sample
from iot_system.domain.readings import Telemetry
from iot_system.errors import InvalidInput

HEADER = '"date","Temperature","Humidity","Light","CO2","HumidityRatio","Occupancy"\n'
GOOD = '"1","2015-02-04 17:51:00",23.18,27.272,426,721.25,0.00479298817650529,1\n'
GOOD_US = 1_423_072_260_000_000


def read(folder: Path, text: str | bytes) -> Sample:
    path = folder / "rows.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sample(path)


def why_broken(folder: Path, line: str | bytes) -> str:
    """Reads ``line`` between two good ones, and checks that these are not affected."""
    later = GOOD.replace("17:51", "17:52")
    sample = read(
        folder, (HEADER + GOOD).encode() + (line if isinstance(line, bytes) else line.encode()) + later.encode()
    )
    assert [row.line for row in sample.rows] == [2, 4]
    [broken] = sample.broken
    assert broken.line == 3
    return broken.why


def test_a_row_is_one_message_of_each_device(tmp_path: Path) -> None:
    [row] = read(tmp_path, HEADER + GOOD).rows
    assert row.line == 2
    assert row.messages == {
        "office-climate": Telemetry(
            "office-climate",
            GOOD_US,
            {"temperature": 23.18, "humidity": 27.272, "humidity_ratio": 0.00479298817650529},
        ),
        "office-light": Telemetry("office-light", GOOD_US, {"light": 426.0}),
        "office-air": Telemetry("office-air", GOOD_US, {"co2": 721.25}),
        "office-presence": Telemetry("office-presence", GOOD_US, {"occupancy": True}),
    }


def test_the_shipped_sample_holds_every_row_of_its_file() -> None:
    sample = read_sample(shipped_sample())
    assert sample.broken == []
    with shipped_sample().open() as file:
        rows = list(csv.reader(file))[1:]
    assert len(sample.rows) == len(rows) == 8143
    for row, fields in zip(sample.rows, rows, strict=True):
        when = datetime.strptime(fields[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        values = {metric: value for one in row.messages.values() for metric, value in one.values.items()}
        assert {one.time_us for one in row.messages.values()} == {when.timestamp() * 1_000_000}
        assert values == {
            "temperature": float(fields[2]),
            "humidity": float(fields[3]),
            "light": float(fields[4]),
            "co2": float(fields[5]),
            "humidity_ratio": float(fields[6]),
            "occupancy": fields[7] == "1",
        }


def test_source_and_licence_stand_beside_the_sample() -> None:
    text = (shipped_sample().parent / "README.md").read_text()
    assert "10.24432/C5X01N" in text
    assert "Creative Commons Attribution 4.0" in text
    for device, columns in DEVICES.items():
        for metric in columns.values():
            assert f"`{device}` | `{metric}`" in text


@pytest.mark.parametrize(
    "text",
    [
        HEADER + GOOD.removeprefix('"1",'),
        HEADER.replace('"', "") + GOOD,
        "\ufeff" + HEADER + GOOD,
        '"",' + HEADER + GOOD,
        (HEADER + GOOD).replace("\n", "\r\n"),
        HEADER + "\n" + GOOD.rstrip("\n"),
    ],
    ids=[
        "no row numbers",
        "no quotes",
        "byte order mark",
        "a name for the row number",
        "CRLF",
        "blank line, no last end",
    ],
)
def test_forms_that_spreadsheets_write_are_read(tmp_path: Path, text: str) -> None:
    sample = read(tmp_path, text)
    assert [row.messages["office-climate"].time_us for row in sample.rows] == [GOOD_US]
    assert sample.broken == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('"2","2015-02-04 17:51:59",23.15\n', "it has 3 fields; 7 are needed"),
        (GOOD.replace("17:51:00", "25:51:00"), "date is '2015-02-04 25:51:00'; it must be like 2015-02-04 17:51:00"),
        (GOOD.replace("2015", "1815"), "ts is -"),
        (GOOD.replace("2015", "9015"), "the latest is 10 minutes from now"),
        (GOOD.replace("23.18", "NA"), "Temperature is 'NA'; it must be a number"),
        (GOOD.replace("23.18", ""), "Temperature is ''; it must be a number"),
        (GOOD.replace("721.25", "7_2"), "CO2 is '7_2'; it must be a number"),
        (GOOD.replace("17:51", "17:53").replace("426", "nan"), "metric 'light' is nan; numbers must be finite"),
        (GOOD.replace("17:51", "17:53").replace("426", "1e999"), "metric 'light' is inf; numbers must be finite"),
        (GOOD.replace(",1\n", ",2\n"), "Occupancy is '2'; it must be 0 or 1"),
        (GOOD.replace('"2015', '2015"'), "date is"),
        ('"2","2015-02-04 17:51:59,23.18\n', "it is not CSV: unexpected end of data"),
        (b'"2","2015-02-04 17:51:59",\xff,27,426,721,0.004,1\n', "it is not valid UTF-8"),
        (b'"2","2015-02-04 17:51:59",\x00,27,426,721,0.004,1\n', "Temperature is '\\x00'; it must be a number"),
        (GOOD, "date is that of line 2 already"),
    ],
)
def test_a_broken_line_is_told_by_number_and_reason_and_harms_no_other(
    tmp_path: Path, line: str | bytes, why: str
) -> None:
    assert why in why_broken(tmp_path, line)


@pytest.mark.parametrize(
    "text",
    ["", "\n", GOOD, HEADER.replace("CO2", "CO"), "a,b," + HEADER, HEADER.replace('"date"', '"date'), b"\xff\xfe" * 9],
)
def test_another_header_is_refused_with_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(
        InvalidInput, match=r"the first line is .*; it must name the columns date,Temperature,"
    ) as refusal:
        read(tmp_path, text)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none.csv cannot be read: No such file"):
        read_sample(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_sample(tmp_path)
