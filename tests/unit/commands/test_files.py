"""Files of telemetry: what is written comes back as it was, and a bad row harms no other."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.client import Message
from iot_system.commands.files import csv_file, ndjson_file, parquet_file
from iot_system.commands.files.kinds import kind_of
from iot_system.commands.files.rows import Broken, Item
from iot_system.errors import InvalidInput
from pyarrow import parquet

KINDS = pytest.mark.parametrize("kind", [csv_file, ndjson_file, parquet_file], ids=lambda kind: kind.__name__[-12:])

NULLABLE = pyarrow.schema([pyarrow.field(one.name, one.type) for one in parquet_file.SCHEMA])

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=5,
)
values = json_values.filter(lambda value: value is not None)
metrics = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
messages = st.builds(
    Message,
    device=st.sampled_from(["a", "b.c"]),
    ts=st.integers(0, 2**41) | st.integers(0, 2**41).map(lambda ms: ms + 0.125),
    values=st.dictionaries(metrics, values, min_size=1, max_size=4),
)


def round_trip(kind: ModuleType, sent: list[Message]) -> list[Item | Broken]:
    file = io.BytesIO()
    with kind.writing(file) as write:
        for message in sent:
            write([message])
    assert not file.closed
    return list(kind.read(io.BytesIO(file.getvalue())))


def readings(sent: list[Message]) -> list[tuple[str, Any, str, str]]:
    """Text of the value: true is not 1, and 1.0 is not 1."""
    return [(one.device, one.ts, metric, repr(value)) for one in sent for metric, value in one.values.items()]


@KINDS
@given(sent=st.lists(messages, max_size=6))
def test_what_is_written_comes_back_as_it_was(kind: ModuleType, sent: list[Message]) -> None:
    found = [one.message for one in round_trip(kind, sent) if isinstance(one, Item)]
    assert readings(found) == readings(sent)


@KINDS
def test_readings_of_one_moment_are_one_message(kind: ModuleType) -> None:
    sent = [Message(device="a", ts=5, values={"t": 1.5, "h": True}), Message(device="b", ts=5, values={"t": 2})]
    assert [one.message for one in round_trip(kind, sent) if isinstance(one, Item)] == sent


@KINDS
def test_its_rows_are_counted_before_they_are_read(kind: ModuleType) -> None:
    file = io.BytesIO()
    with kind.writing(file) as write:
        write([Message(device="a", ts=ts, values={"t": 1.5, "h": 2.5}) for ts in range(10)])
    items = [one for one in kind.read(io.BytesIO(file.getvalue())) if isinstance(one, Item)]
    assert kind.count(io.BytesIO(file.getvalue())) == sum(one.rows for one in items) > 0


def test_a_broken_line_of_csv_is_told_with_its_number() -> None:
    text = b"device,ts,metric,value\na,1,t,1.5\na,noon,t,2\na,2\na,3,t,\xff\n\na,2026-01-31T12:00:00Z,t,open\n"
    found = list(csv_file.read(io.BytesIO(text)))
    assert [one.place for one in found if isinstance(one, Broken)] == [3, 4, 5]
    assert [one.message for one in found if isinstance(one, Item)] == [
        Message(device="a", ts=1, values={"t": 1.5}),
        Message(device="a", ts=1769860800000, values={"t": "open"}),
    ]


def test_a_field_that_csv_cannot_hold_spoils_its_own_line_alone() -> None:
    text = b"device,ts,metric,value\na,1,t,%s\na,2,t,1.5\n" % (b"x" * 200_000)
    broken, good = csv_file.read(io.BytesIO(text))
    assert isinstance(broken, Broken)
    assert broken.place == 2
    assert isinstance(good, Item)
    assert (good.place, good.message) == (3, Message(device="a", ts=2, values={"t": 1.5}))


def test_a_row_of_parquet_without_a_time_is_told_with_its_number() -> None:
    file = io.BytesIO()
    rows = [{"device": "a", "time": time, "metric": "t", "number": 1.5} for time in (1, None, 2)]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=NULLABLE), file)
    found = list(parquet_file.read(io.BytesIO(file.getvalue())))
    assert [one.place for one in found if isinstance(one, Broken)] == [2]
    assert [one.place for one in found if isinstance(one, Item)] == [1, 3]


def test_times_of_parquet_count_to_the_microsecond() -> None:
    file = io.BytesIO()
    schema = pyarrow.schema(
        [one if one.name != "time" else pyarrow.field("time", pyarrow.timestamp("ns")) for one in parquet_file.SCHEMA]
    )
    row = {"device": "a", "time": 1_500_123, "metric": "t", "number": 1.5}
    parquet.write_table(pyarrow.Table.from_pylist([row], schema=schema), file)
    (found,) = parquet_file.read(io.BytesIO(file.getvalue()))
    assert isinstance(found, Item)
    assert found.message.ts == 1.5


def test_parquet_whose_columns_are_of_another_kind_is_refused() -> None:
    file = io.BytesIO()
    columns = {"device": ["a"], "time": [1], "metric": ["t"], "number": [1.5], "json": [None]}
    parquet.write_table(pyarrow.table(columns), file)
    with pytest.raises(InvalidInput, match="'time' is of the type int64"):
        list(parquet_file.read(io.BytesIO(file.getvalue())))


def test_a_broken_line_of_ndjson_is_told_with_its_number() -> None:
    text = b'{"device":"a","values":{"t":1}}\n\n{"device":"a"}\n{"dev\n{"device":"a","values":{"t":2},"id":"x"}\n'
    found = list(ndjson_file.read(io.BytesIO(text)))
    assert [one.place for one in found if isinstance(one, Broken)] == [3, 4]
    assert [one.message.id for one in found if isinstance(one, Item)] == [None, "x"]


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the first line is 'time,value'"):
        list(csv_file.read(io.BytesIO(b"time,value\n")))
    with pytest.raises(InvalidInput, match="not Parquet"):
        list(parquet_file.read(io.BytesIO(b"device,ts,metric,value\n")))
    other = io.BytesIO()
    parquet.write_table(pyarrow.table({"device": ["a"]}), other)
    with pytest.raises(InvalidInput, match="no column 'time'"):
        list(parquet_file.read(io.BytesIO(other.getvalue())))


def test_the_kind_is_the_end_of_the_name_or_what_is_said() -> None:
    assert kind_of(Path("a/b.CSV"), None) is csv_file
    assert kind_of(Path("b.jsonl"), None) is ndjson_file
    assert kind_of(Path("-"), "parquet") is parquet_file
    with pytest.raises(InvalidInput, match=r"b.txt does not end with .csv, .ndjson, .parquet"):
        kind_of(Path("b.txt"), None)
