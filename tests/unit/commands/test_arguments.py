from __future__ import annotations

import argparse
from datetime import UTC, datetime

import pytest
from iot_system.commands import arguments
from iot_system.errors import InvalidInput


def test_addresses_are_taken_apart() -> None:
    assert arguments.url("http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert arguments.url("https://iot.example/base") == "https://iot.example/base"
    assert arguments.address("api-service:1883") == arguments.Address("api-service", 1883)
    assert arguments.address("[::1]:1883") == arguments.Address("::1", 1883)
    assert arguments.count("12") == 12


@pytest.mark.parametrize("text", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://[::1", "mqtt://host:1883"])
def test_what_is_no_rest_address_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text!r:.3}"):
        arguments.url(text)


@pytest.mark.parametrize("text", ["", "host", ":1883", "host:", "host:0", "host:65536", "host:1e3", "host:²"])
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be"):
        arguments.address(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "²", "x"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a whole number from 1"):
        arguments.count(text)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e300", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert arguments.duration("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number from 0"):
        arguments.duration(text)


def test_words_and_objects_are_merged_to_values() -> None:
    words = ["a=1.5", "b=true", "c=open", 'd="2"', "e=", '{"f": {"g": null}}', "a=null"]
    assert arguments.assignments(words) == {
        "a": None,
        "b": True,
        "c": "open",
        "d": "2",
        "e": "",
        "f": {"g": None},
    }


@pytest.mark.parametrize("word", ["a", "=1", '{"a"', "[1]", "{}x"])
def test_a_word_that_names_no_value_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput):
        arguments.assignments([word])


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("t=1e999", "t=1e999: it is a number beyond 1.8e308"),
        ('t="\\ud800"', "it has half of a surrogate pair, which is no character"),
        ('{"a": {"t": -1e999}}', "is not a JSON object: a.t is a number beyond 1.8e308"),
    ],
)
def test_a_value_that_nothing_can_hold_is_refused_with_its_name(word: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        arguments.assignments([word])
    assert str(refused.value).endswith(why)


def test_times_are_milliseconds_or_bear_their_zone() -> None:
    assert arguments.moment("1700000000000") == 1.7e12
    assert arguments.moment("2026-01-31T12:00:00+01:00") == datetime(2026, 1, 31, 11, tzinfo=UTC)
    for text in ("2026-01-31T12:00:00", "noon", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="must be milliseconds"):
            arguments.moment(text)
