"""Command-line arguments that several commands take."""

from __future__ import annotations

import argparse
from typing import TypeAlias

import httpx

Address: TypeAlias = tuple[str, int]


def url(text: str) -> str:
    """The address of a REST interface, without a slash at its end."""
    try:
        found = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address: {error}") from None
    if found.scheme not in ("http", "https") or not found.host:
        raise argparse.ArgumentTypeError(f"{text!r} must be like http://127.0.0.1:8000")
    return text.rstrip("/")


def address(text: str) -> Address:
    """``HOST:PORT``."""
    host, _, number = text.rpartition(":")
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} must be like 127.0.0.1:1883")
    return host.strip("[]"), port(number)


def port(text: str) -> int:
    """A TCP port."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} must be a port from 1 to 65535")
    return int(text)


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1")
    return int(text)
