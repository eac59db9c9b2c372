"""What is wrong with JSON that cannot be decoded, in words that name the place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from iot_system.domain.readings import JSON_DEPTH_LIMIT


def why_undecodable(error: Exception, data: bytes) -> str:
    """What ``error``, msgspec's about ``data``, means.

    Of a number that no double holds and of half a character it does not say where they are, or what they are.
    """
    try:
        value = json.loads(data, parse_constant=_refuse)  # takes both
    except (ValueError, RecursionError):
        return str(error)
    return next(_oddities(value, "", 0), str(error))


def _refuse(name: str) -> None:
    raise ValueError(name)


def _oddities(value: object, path: str, depth: int) -> Iterator[str]:
    if depth > JSON_DEPTH_LIMIT:
        return
    if isinstance(value, float) and math.isinf(value):
        yield f"{path or 'it'} is a number beyond 1.8e308"
    elif isinstance(value, str) and _is_broken(value):
        yield f"{path or 'it'} has half of a surrogate pair, which is no character"
    elif isinstance(value, dict):
        for name, one in value.items():
            if _is_broken(name):
                yield f"a name in {path or 'it'} has half of a surrogate pair, which is no character"
            yield from _oddities(one, f"{path}.{name}".removeprefix("."), depth + 1)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _oddities(one, f"{path}[{index}]", depth + 1)


def _is_broken(text: str) -> bool:
    return any("\ud800" <= one <= "\udfff" for one in text)
