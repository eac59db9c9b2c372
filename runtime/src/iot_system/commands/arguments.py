"""Command-line arguments that several commands take."""

from __future__ import annotations

import argparse
import math
import ssl
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx
import msgspec

from iot_system.domain.undecodable import why_undecodable
from iot_system.errors import InvalidInput

DURATION_LIMIT = 1_000_000_000
_SHOWN = 80
MQTTS = "mqtts://"


class Address(msgspec.Struct, frozen=True):
    """Where MQTT is."""

    host: str
    port: int
    is_encrypted: bool = False

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What it is spoken to with: trusts the system's CAs, or those of the file that SSL_CERT_FILE names."""
        return ssl.create_default_context() if self.is_encrypted else None


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
    """``HOST:PORT``, and ``mqtts://HOST:PORT`` for TLS."""
    host, _, number = text.removeprefix(MQTTS).rpartition(":")
    if not host or "/" in host:
        raise argparse.ArgumentTypeError(f"{text!r} must be like 127.0.0.1:1883 or mqtts://iot.example.org:8883")
    return Address(host.strip("[]"), port(number), text.startswith(MQTTS))


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


def duration(text: str) -> float:
    """A number of seconds or days, from 0 to `DURATION_LIMIT`."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= DURATION_LIMIT:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 0 to {DURATION_LIMIT:,}")
    return found


def assignments(words: Sequence[str]) -> dict[str, Any]:
    """``name=value`` words and JSON objects, merged; a value is JSON, and text where it is none.

    Raises `InvalidInput`.
    """
    found: dict[str, Any] = {}
    for word in words:
        if word.startswith("{"):
            found |= json_object(word)
            continue
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{word!r} is neither NAME=VALUE nor a JSON object")
        found[name] = _value(name, value)
    return found


def _value(name: str, text: str) -> Any:
    """As `json_or_text`; JSON that no value can be is no text either. Raises `InvalidInput`."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        why = why_undecodable(error, text.encode(errors="surrogateescape"))
        if why != str(error):
            raise InvalidInput(f"{name}={text[:_SHOWN]}: {why}") from None
        return text


def json_object(text: str) -> dict[str, Any]:
    """Raises `InvalidInput`."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        why = why_undecodable(error, text.encode(errors="surrogateescape"))
        raise InvalidInput(f"{text[:_SHOWN]!r} is not a JSON object: {why}") from None


def json_or_text(text: str) -> Any:
    """The JSON that ``text`` is, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def moment(text: str) -> datetime | float:
    """Milliseconds since 1970, or a time with its zone as in RFC 3339."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be milliseconds since 1970, or like 2026-01-31T12:00:00Z")
    return found


def label(text: str) -> tuple[str, str]:
    """``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} must be like floor=2")
    return name, value
