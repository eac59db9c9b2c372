from __future__ import annotations

import argparse

import pytest
from iot_system.commands import arguments


def test_addresses_are_taken_apart() -> None:
    assert arguments.url("http://127.0.0.1:8000/") == "http://127.0.0.1:8000"
    assert arguments.url("https://iot.example/base") == "https://iot.example/base"
    assert arguments.address("api-service:1883") == ("api-service", 1883)
    assert arguments.address("[::1]:1883") == ("::1", 1883)
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
