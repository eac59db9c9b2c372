"""Strict JSON for small bodies: what one parser would drop or bend in silence, and another not, is refused.

RFC 8259 leaves duplicate keys to the parser; here they are an error. Telemetry is read by a decoder that keeps the last
of them: looking for them would be a second parser on the hot path.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from litestar.exceptions import ClientException

from iot_system.adapters.http.bodies import decode_json
from iot_system.domain.payloads import plain
from iot_system.domain.readings import JSON_DEPTH_LIMIT
from iot_system.errors import InvalidInput, TooLarge

STRICT_BODY_LIMIT = 256 * 1024
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_MEDIA_TYPES = frozenset({"", JSON, MERGE_PATCH, "application/x-www-form-urlencoded"})  # the last is curl's -d
_SHOWN = 80
_ANY = 8 * STRICT_BODY_LIMIT
"""What is refused for its size is refused by those who keep it; numbers and escapes grow a little."""
T = TypeVar("T")


def check_media_type(named: str) -> None:
    """Raises a 415 for what is not JSON; a merge patch (RFC 7396) is."""
    if named.strip().lower() not in _MEDIA_TYPES:
        raise ClientException(f"Content-Type is {named[:_SHOWN]!r}; it is {JSON} or {MERGE_PATCH}", status_code=415)


def decode_strictly(data: bytes, kind: type[T] | Any) -> T:
    """Decode a body. Raises `InvalidInput` with one sentence, `TooLarge` over `STRICT_BODY_LIMIT`."""
    if len(data) > STRICT_BODY_LIMIT:
        raise TooLarge(f"the body has {len(data)} bytes; the limit here is {STRICT_BODY_LIMIT}")
    decoded: T = decode_json(data, msgspec.json.Decoder(kind))
    try:
        body = json.loads(data, object_pairs_hook=_once)
        members = body if isinstance(body, dict) else {"the body": body}
        for name, value in members.items():
            plain({name: None}, field="a key", limit=_ANY)
            plain(value, field=name[:_SHOWN], limit=_ANY)
    except RecursionError:
        raise InvalidInput(f"the body is nested deeper than {JSON_DEPTH_LIMIT} levels") from None
    return decoded


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidInput(f"key {twice[:_SHOWN]!r} stands twice in one object")
    return found
