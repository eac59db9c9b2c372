"""What a device says: telemetry messages, their limits, and the two JSON forms they arrive in."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from iot_system.errors import InvalidInput, TooLarge

Value: TypeAlias = float | int | str | bool | dict[str, Any] | list[Any]
"""A reading's value: a finite number, text, a bool or JSON."""

METRICS_LIMIT = 256
METRIC_NAME_LIMIT = 128
JSON_DEPTH_LIMIT = 16
TEXT_LIMIT = 64 * 1024
INTEGER_LIMIT = 2**53
"""Numbers are stored as IEEE 754 doubles, which hold integers exactly up to here."""
FUTURE_LIMIT_US = 10 * 60 * 1_000_000
SEQ_LIMIT = 2**63 - 1
CHECKED_LIMIT = 10_000
_checked: set[str] = set()
"""Names of metrics that may be: devices say the same few again and again."""
_BESIDE_VALUES = frozenset({"ts", "seq", "boot", "id"})
_ENVELOPE = _BESIDE_VALUES | {"values"}


class Telemetry(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """Readings of one device at one moment, as they travel in frames.

    ``time_us`` counts microseconds since 1970 (UTC). ``seq`` grows with each message of a device within one ``boot``;
    ``id`` names the message: with either, a re-send is recognised even where the device gave no timestamp.
    """

    device: str
    time_us: int
    values: dict[str, Value]
    seq: int | None = None
    boot: str | None = None
    id: str | None = None


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What nearly all messages are."""

    ts: int
    values: dict[str, bool | Annotated[int, Meta(ge=-INTEGER_LIMIT, le=INTEGER_LIMIT)] | float]


_decode_usual = msgspec.json.Decoder(_Usual).decode


def read_usual(device: str, data: bytes, *, now_us: int) -> Telemetry | None:
    """Read JSON that is as nearly all is, several times as fast: a timestamp, numbers and bools, metrics seen before.

    None where it is not: `parse_telemetry` takes, or refuses, that.
    """
    try:
        told = _decode_usual(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    values = told.values
    if not 0 < len(values) <= METRICS_LIMIT or not _checked.issuperset(values):
        return None
    if not 0 <= told.ts <= (now_us + FUTURE_LIMIT_US) // 1000:
        return None
    return Telemetry(device, told.ts * 1000, values)  # type: ignore[arg-type]  # values of fewer kinds


def parse_telemetry(device: str, body: object, *, now_us: int) -> Telemetry:
    """Read one decoded JSON message of ``device``: ``{"temperature": 21.5}`` or ``{"ts": ms, "values": {…}}``.

    ``now_us`` is stamped where the message bears no timestamp. Raises `InvalidInput` with one sentence.
    """
    if not isinstance(body, dict):
        raise InvalidInput(f"telemetry must be an object, not {_kind(body)}")
    values = body.get("values")
    if not isinstance(values, dict):
        return Telemetry(device, now_us, _check_values(body))
    if "ts" in body and len(body) == 2:  # the common case, cheaply
        return timed_telemetry(device, body["ts"], values, now_us=now_us)
    if unknown := body.keys() - _ENVELOPE:
        if body.keys().isdisjoint(_BESIDE_VALUES):
            return Telemetry(device, now_us, _check_values(body))
        raise InvalidInput(f"{_shown(repr(min(unknown)))} is not known beside values; ts, seq, boot and id are")
    return Telemetry(
        device,
        _check_ts(body["ts"], now_us) if "ts" in body else now_us,
        _check_values(values),
        _check_seq(body.get("seq")),
        _check_name(body.get("boot"), "boot"),
        _check_name(body.get("id"), "id"),
    )


def timed_telemetry(device: str, ts: object, values: dict[str, Any], *, now_us: int) -> Telemetry:
    """One message that has only a timestamp (milliseconds since 1970) beside its values. Raises `InvalidInput`."""
    return Telemetry(device, _check_ts(ts, now_us), _check_values(values))


def milliseconds(time_us: int) -> int | float:
    """The interface's timestamps: milliseconds since 1970, with a fraction only where there is one."""
    whole, rest = divmod(time_us, 1000)
    return whole if rest == 0 else time_us / 1000


def stamp(time_us: int) -> int:
    """When the system itself did something, in milliseconds since 1970: nobody needs it finer."""
    return time_us // 1000


def _check_values(values: dict[str, Any]) -> dict[str, Value]:
    if not values:
        raise InvalidInput("values is empty; a message bears at least one metric")
    if len(values) > METRICS_LIMIT:
        raise TooLarge(f"values has {len(values)} metrics; the limit is {METRICS_LIMIT}")
    if not _checked.issuperset(values):
        for metric in values:
            _check_metric(metric)
    for metric, value in values.items():
        # The common cases first, cheaply.
        kind = type(value)
        if kind is float:
            if isfinite(value):
                continue
        elif kind is int and -INTEGER_LIMIT <= value <= INTEGER_LIMIT:
            continue
        _check_value(metric, value)
    return values


def _check_metric(metric: str) -> None:
    if not metric:
        raise InvalidInput("a metric's name is empty; it has 1 to 128 characters")
    if len(metric) > METRIC_NAME_LIMIT:
        raise InvalidInput(
            f"metric name {metric[:24]!r}… has {len(metric)} characters; the limit is {METRIC_NAME_LIMIT}"
        )
    if not metric.isprintable():
        raise InvalidInput(f"metric name {metric!r} has a character that cannot be printed")
    if len(_checked) >= CHECKED_LIMIT:
        _checked.clear()
    _checked.add(metric)


def _check_value(metric: str, value: object) -> None:
    match value:
        case bool():
            return
        case float():
            if not isfinite(value):
                raise InvalidInput(f"metric {metric!r} is {value}; numbers must be finite")
        case int():
            if abs(value) > INTEGER_LIMIT:
                raise InvalidInput(f"metric {metric!r} is {_shown(value)}, beyond ±2^53, the limit for whole numbers")
        case str():
            if len(value) > TEXT_LIMIT:
                raise TooLarge(f"metric {metric!r} has {len(value)} characters; the limit is {TEXT_LIMIT}")
            if "\0" in value:
                raise InvalidInput(f"metric {metric!r} has a NUL character; text cannot hold it")
        case dict() | list():
            _check_json(metric, value, depth=1)
        case None:
            raise InvalidInput(f"metric {metric!r} is null; leave it out instead")
        case _:
            raise InvalidInput(f"metric {metric!r} is {_kind(value)}; a value is a number, text, a bool or JSON")


def _check_json(metric: str, value: object, *, depth: int) -> None:
    if depth > JSON_DEPTH_LIMIT and isinstance(value, dict | list):
        raise InvalidInput(f"metric {metric!r} is nested deeper than {JSON_DEPTH_LIMIT} levels")
    if isinstance(value, dict):
        for key, child in value.items():
            if "\0" in key:
                raise InvalidInput(f"metric {metric!r} has a NUL character in a key; text cannot hold it")
            _check_json(metric, child, depth=depth + 1)
    elif isinstance(value, list):
        for child in value:
            _check_json(metric, child, depth=depth + 1)
    elif value is not None:
        _check_value(metric, value)


def _check_ts(ts: object, now_us: int) -> int:
    latest_us = now_us + FUTURE_LIMIT_US
    if type(ts) is int and 0 <= ts <= latest_us // 1000:  # the common case, cheaply
        return ts * 1000
    if isinstance(ts, bool) or not isinstance(ts, int | float):
        raise InvalidInput(f"ts must be a number of milliseconds since 1970, not {_kind(ts)}")
    if not ts >= 0:  # NaN neither
        raise InvalidInput(f"ts is {_shown(ts)}; the earliest is 0 (1970-01-01)")
    # Held against the limit before the multiplication, which a float need not survive.
    if ts > latest_us // 1000 + 1 or (time_us := round(ts * 1000)) > latest_us:
        raise InvalidInput(f"ts is {_shown(ts)}; the latest is 10 minutes from now ({latest_us // 1000})")
    return time_us


def _check_seq(seq: object) -> int | None:
    if seq is None:
        return None
    if isinstance(seq, bool) or not isinstance(seq, int) or not 0 <= seq <= SEQ_LIMIT:
        raise InvalidInput(f"seq must be a whole number from 0 to 2^63 - 1, not {_shown(repr(seq))}")
    return seq


def _check_name(name: object, field: str) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str) or not 0 < len(name) <= METRIC_NAME_LIMIT or not name.isprintable():
        raise InvalidInput(
            f"{field} must be text of 1 to {METRIC_NAME_LIMIT} printable characters, not {_shown(repr(name))}"
        )
    return name


def _shown(value: object) -> str:
    """A refused value for a sentence, cut to a readable length."""
    text = str(value)
    return text if len(text) <= 32 else f"{text[:32]}…"


_KINDS = {dict: "an object", list: "a list", str: "text", bool: "a bool", type(None): "null"}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
