"""What a device may say, and the one sentence that it hears otherwise."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.frames import DeviceFrame, encode_frame
from iot_system.domain.readings import SEQ_LIMIT, Telemetry, milliseconds, parse_telemetry, read_usual
from iot_system.errors import InvalidInput, TooLarge

from tests.unit.domain.strategies import NOW_US, names, values

LATEST_MS = NOW_US // 1000 + 600_000


def parse(body: object) -> Telemetry:
    return parse_telemetry("d", body, now_us=NOW_US)


def refusal(body: object) -> str:
    with pytest.raises(InvalidInput) as error:
        parse(body)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) <= 250
    return str(error.value)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"temperature": 21.5}, Telemetry("d", NOW_US, {"temperature": 21.5})),
        ({"ts": 1_600_000_000_000, "values": {"t": 1}}, Telemetry("d", 1_600_000_000_000_000, {"t": 1})),
        ({"ts": 1.5, "values": {"t": 1}}, Telemetry("d", 1500, {"t": 1})),
        ({"ts": 0, "values": {"t": 1}}, Telemetry("d", 0, {"t": 1})),
        ({"ts": LATEST_MS, "values": {"t": 1}}, Telemetry("d", LATEST_MS * 1000, {"t": 1})),
        ({"values": {"t": 1}}, Telemetry("d", NOW_US, {"t": 1})),
        (
            {"values": {"t": 1}, "seq": 0, "boot": "b", "id": "x"},
            Telemetry("d", NOW_US, {"t": 1}, seq=0, boot="b", id="x"),
        ),
        ({"values": {"t": 1}, "seq": SEQ_LIMIT}, Telemetry("d", NOW_US, {"t": 1}, seq=SEQ_LIMIT)),
    ],
)
def test_both_forms_are_read(body: object, message: Telemetry) -> None:
    assert parse(body) == message


@pytest.mark.parametrize(
    "body",
    [
        {"values": 3},
        {"values": 3, "ts": 5},
        {"values": {"t": 1}, "temperature": 3},
        {"ts": 5},
        {"seq": 1, "id": "a"},
    ],
)
def test_an_object_that_is_no_envelope_is_metrics_called_so(body: dict[str, Any]) -> None:
    assert parse(body) == Telemetry("d", NOW_US, body)


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ({"ts": 5, "values": {"t": 1}, "Seq": 3}, "Seq"),
        ({"values": {"t": 1}, "seq": 1, "time": 5}, "time"),
        ({"values": {}, "id": "a", "x" * 1000: 1}, "xxxx"),
    ],
)
def test_an_unknown_key_in_an_envelope_is_refused_by_its_name(body: dict[str, Any], unknown: str) -> None:
    with pytest.raises(
        InvalidInput, match=rf"^'{unknown}.* is not known beside values; ts, seq, boot and id are$"
    ) as it:
        parse(body)
    assert len(str(it.value)) < 120


@pytest.mark.parametrize(
    "value", [0, -1, 2**53, -(2**53), 1e308, True, "", "text\n", {}, [], {"a": None}, [None, {"": [1]}], nested(16)]
)
def test_every_kind_of_value_is_taken_as_it_is(value: Any) -> None:
    assert repr(parse({"m": value}).values["m"]) == repr(value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [([], "a list"), ("x", "text"), (3, "a number"), (2.5, "a number"), (None, "null"), (True, "a bool")],
)
def test_what_is_no_object_is_refused(body: object, kind: str) -> None:
    assert refusal(body) == f"telemetry must be an object, not {kind}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "metric 'm' is nan; numbers must be finite"),
        (math.inf, "metric 'm' is inf; numbers must be finite"),
        (-math.inf, "metric 'm' is -inf; numbers must be finite"),
        (None, "metric 'm' is null; leave it out instead"),
        (2**53 + 1, "metric 'm' is 9007199254740993, beyond ±2^53, the limit for whole numbers"),
        (-(2**53) - 1, "metric 'm' is -9007199254740993, beyond ±2^53, the limit for whole numbers"),
        (10**60, f"metric 'm' is 1{'0' * 31}…, beyond ±2^53, the limit for whole numbers"),
        ("x" * 65_537, "metric 'm' has 65537 characters; the limit is 65536"),
        ("a\0b", "metric 'm' has a NUL character; text cannot hold it"),
        (["a\0b"], "metric 'm' has a NUL character; text cannot hold it"),
        ({"a\0b": 1}, "metric 'm' has a NUL character in a key; text cannot hold it"),
        ({"a": [math.nan]}, "metric 'm' is nan; numbers must be finite"),
        ({"a": [2**60]}, f"metric 'm' is {2**60}, beyond ±2^53, the limit for whole numbers"),
        (nested(17), "metric 'm' is nested deeper than 16 levels"),
        (b"x", "metric 'm' is bytes; a value is a number, text, a bool or JSON"),
    ],
)
def test_a_bad_value_is_refused_with_metric_limit_and_value(value: object, sentence: str) -> None:
    assert refusal({"m": value}) == sentence
    assert refusal({"ts": 1, "values": {"good": 1.0, "m": value}}) == sentence


@pytest.mark.parametrize("good", [1.0, 1])
@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        ("", "a metric's name is empty; it has 1 to 128 characters"),
        ("x" * 129, f"metric name {'x' * 24!r}… has 129 characters; the limit is 128"),
        ("a\0", "metric name 'a\\x00' has a character that cannot be printed"),
        ("a\nb", "metric name 'a\\nb' has a character that cannot be printed"),
        ("\ud800", "metric name '\\ud800' has a character that cannot be printed"),
    ],
)
def test_a_bad_name_is_refused_whatever_its_value(metric: str, good: float, sentence: str) -> None:
    assert refusal({metric: good}) == sentence


def test_metrics_are_counted() -> None:
    assert len(parse({f"m{number}": 1.0 for number in range(256)}).values) == 256
    body = {f"m{number}": 1.0 for number in range(257)}
    assert refusal(body) == "values has 257 metrics; the limit is 256"
    with pytest.raises(TooLarge):
        parse(body)


@pytest.mark.parametrize("body", [{}, {"values": {}}, {"ts": 1, "values": {}}])
def test_a_message_without_a_metric_is_refused(body: object) -> None:
    assert refusal(body) == "values is empty; a message bears at least one metric"


@pytest.mark.parametrize(
    ("ts", "sentence"),
    [
        (True, "ts must be a number of milliseconds since 1970, not a bool"),
        ("2024-01-01", "ts must be a number of milliseconds since 1970, not text"),
        (None, "ts must be a number of milliseconds since 1970, not null"),
        ([1], "ts must be a number of milliseconds since 1970, not a list"),
        (-1, "ts is -1; the earliest is 0 (1970-01-01)"),
        (-0.5, "ts is -0.5; the earliest is 0 (1970-01-01)"),
        (math.nan, "ts is nan; the earliest is 0 (1970-01-01)"),
        (LATEST_MS + 1, f"ts is {LATEST_MS + 1}; the latest is 10 minutes from now ({LATEST_MS})"),
        (1e306, f"ts is 1e+306; the latest is 10 minutes from now ({LATEST_MS})"),
        (math.inf, f"ts is inf; the latest is 10 minutes from now ({LATEST_MS})"),
        (10**60, f"ts is 1{'0' * 31}…; the latest is 10 minutes from now ({LATEST_MS})"),
    ],
)
def test_a_bad_timestamp_is_refused_with_limit_and_value(ts: object, sentence: str) -> None:
    assert refusal({"ts": ts, "values": {"t": 1}}) == sentence


@pytest.mark.parametrize("seq", [-1, SEQ_LIMIT + 1, 1.0, True, "7", [1]])
def test_a_bad_sequence_number_is_refused_with_limit_and_value(seq: object) -> None:
    assert refusal({"seq": seq, "values": {"t": 1}}) == (f"seq must be a whole number from 0 to 2^63 - 1, not {seq!r}")


@pytest.mark.parametrize("field", ["boot", "id"])
@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", 7, True, ["a"]])
def test_a_bad_name_of_a_boot_or_message_is_refused_with_limit_and_value(field: str, name: object) -> None:
    shown = repr(name) if len(repr(name)) <= 32 else f"{repr(name)[:32]}…"
    assert refusal({field: name, "values": {"t": 1}}) == (
        f"{field} must be text of 1 to 128 printable characters, not {shown}"
    )


@given(st.dictionaries(names, values, min_size=1, max_size=4))
def test_whatever_is_accepted_can_be_framed(body: dict[str, Any]) -> None:
    assert encode_frame(DeviceFrame([parse({"values": body})]))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda child: (
    st.lists(child, max_size=3) | st.dictionaries(st.sampled_from(["ts", "values", "seq", "id", "m"]), child)
)))  # fmt: skip
def test_any_json_is_either_read_or_refused(body: object) -> None:
    with contextlib.suppress(InvalidInput):
        message = parse(body)
        assert 0 <= message.time_us <= NOW_US + 600_000_000
        assert msgspec.msgpack.decode(encode_frame(DeviceFrame([message])))[1][0][2] == message.values


@given(st.integers(0, 2**52))
def test_milliseconds_and_timestamps_are_each_other_s_inverse(time_us: int) -> None:
    shown = milliseconds(time_us)
    assert isinstance(shown, int) == (time_us % 1000 == 0)
    assert parse_telemetry("d", {"ts": shown, "values": {"t": 1}}, now_us=2**53).time_us == time_us


VALUES = st.sampled_from(
    [
        "1",
        "1.5",
        "-0.0",
        "1.0e2",
        "1e400",
        "true",
        "null",
        '"x"',
        "[1]",
        "{}",
        str(2**53),
        str(2**53 + 1),
        str(-(2**80)),
    ]
)
TIMES = st.sampled_from(["1", "0", "1.0", "-1", "true", '"1"', str(2**70), "99999999999999"])


@given(
    st.sampled_from(
        ['{"ts":%s,"values":{%s}}', '{"ts":%s,"values":{%s},"seq":1}', '{"ts":%s,%s}', "[%s,{%s}]", "%s%s"]
    ),
    TIMES,
    st.lists(st.tuples(st.sampled_from(["t", "u", "", "\\u0007", "x" * 129]), VALUES), max_size=3),
)
def test_what_is_read_fast_is_what_is_read_with_care(form: str, ts: str, values: list[tuple[str, str]]) -> None:
    data = (form % (ts, ",".join(f'"{name}":{value}' for name, value in values))).encode()
    fast = read_usual("d", data, now_us=NOW_US)
    if fast is not None:
        careful = parse_telemetry("d", msgspec.json.decode(data), now_us=NOW_US)
        assert repr(fast) == repr(careful)


def test_what_nearly_all_send_is_read_fast() -> None:
    parse_telemetry("d", {"t": 1, "u": True}, now_us=NOW_US)
    data = b'{"ts":1000,"values":{"t":21.5,"u":true}}'
    assert read_usual("d", data, now_us=NOW_US) == Telemetry("d", 1_000_000, {"t": 21.5, "u": True})
