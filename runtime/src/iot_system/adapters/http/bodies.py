"""Request bodies: their size limit, their media types, and strict decoding with one sentence for each mistake."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, TypeVar, cast

import msgspec
from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from iot_system.adapters.http.choices import choices
from iot_system.adapters.http.rules import in_words
from iot_system.domain.readings import JSON_DEPTH_LIMIT
from iot_system.domain.undecodable import why_undecodable
from iot_system.errors import InvalidInput, Overloaded, TooLarge

BODY_LIMIT = 5 * 1024 * 1024
BODIES_LIMIT = 64 * 1024 * 1024
"""Bytes of all bodies that one process reads or works on."""
T = TypeVar("T")
_VALUE_SHOWN = 80
_AT = re.compile(r" - at `(?:key in `)?\$(?P<path>[^`]*)`+$")


class Form(Enum):
    """How a body with many items is written."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    MSGPACK = "application/msgpack"


_FORMS = {
    "": Form.JSON,
    "application/json": Form.JSON,
    "application/x-www-form-urlencoded": Form.JSON,  # what curl -d says of any body
    "application/ndjson": Form.NDJSON,
    "application/x-ndjson": Form.NDJSON,
    "application/jsonl": Form.NDJSON,
    "application/msgpack": Form.MSGPACK,
    "application/x-msgpack": Form.MSGPACK,
    "application/vnd.msgpack": Form.MSGPACK,
}


class BodiesInFlight:
    """Counts the bytes of bodies whose requests are not answered yet."""

    def __init__(self) -> None:
        self.bytes = 0

    def add(self, size: int) -> None:
        """Raises `Overloaded` where ``size`` more bytes would be beyond `BODIES_LIMIT`."""
        if self.bytes + size > BODIES_LIMIT:
            raise Overloaded(
                f"the bodies of requests under way have {self.bytes} bytes and this one {size} more; "
                f"the limit for all is {BODIES_LIMIT}"
            )
        self.bytes += size


class BoundedReceive:
    """An ASGI ``receive`` that refuses a body over `BODY_LIMIT`: by its announced length before reading, else by count.

    Raises `TooLarge`, or `Overloaded` where other bodies take the room; ``held`` bytes of it are this one's. The rest
    of a refused body is the server's to discard.
    """

    def __init__(self, scope: Scope, receive: Receive, in_flight: BodiesInFlight) -> None:
        self._receive = receive
        self._in_flight = in_flight
        self.held = 0
        self._announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        self._read = 0
        self._complete = False

    async def __call__(self) -> HTTPReceiveMessage:
        if self._announced.isdigit() and (announced := int(self._announced[:20])) > BODY_LIMIT:
            raise TooLarge(f"the body has {announced} bytes; the limit is {BODY_LIMIT}")
        message = cast("HTTPReceiveMessage", await self._receive())
        if message["type"] == "http.disconnect" and not self._complete:
            raise InvalidInput("the connection ended before the body did")
        if message["type"] == "http.request":
            self._read += len(message["body"])
            self._complete = not message.get("more_body", False)
            if self._read > BODY_LIMIT:
                raise TooLarge(f"the body has more than {BODY_LIMIT} bytes, the limit")
            self._hold(self._read)
        return message

    def _hold(self, size: int) -> None:
        if size > self.held:
            self._in_flight.add(size - self.held)
            self.held = size


def bounded(app: ASGIApp) -> ASGIApp:
    """Return ``app`` with `BODY_LIMIT` on every request, and `BODIES_LIMIT` on all until they are answered."""
    in_flight = BodiesInFlight()

    async def bounded_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return await app(scope, receive, send)
        bounded_receive = BoundedReceive(scope, receive, in_flight)
        try:
            await app(scope, bounded_receive, send)
        finally:
            in_flight.bytes -= bounded_receive.held

    return bounded_app


def form_of(media_type: str) -> Form:
    """The form that ``Content-Type`` names. Raises a 415 for one that is not known."""
    named = media_type.strip().lower()
    if form := _FORMS.get(named):
        return form
    raise ClientException(
        f"Content-Type is {named[:_VALUE_SHOWN]!r}; it is one of {', '.join(form.value for form in Form)}",
        status_code=415,
    )


def decode_json(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode strict JSON (RFC 8259). Raises `InvalidInput` with one sentence."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error, data, decoder.type) from None


def decode_msgpack(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Decode MessagePack. Raises `InvalidInput` with one sentence."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(error, b"", decoder.type) from None


def convert(value: Any, kind: type[T]) -> T:
    """Check one decoded item. Raises `InvalidInput` with one sentence."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(_sentence(error, value, kind)) from None


def _refusal(error: Exception, data: bytes, kind: Any) -> InvalidInput:
    match error:
        case RecursionError():
            return InvalidInput(f"this is nested too deeply; the limit is {JSON_DEPTH_LIMIT} levels")
        case UnicodeDecodeError():
            return InvalidInput("this has text that is not valid UTF-8")
        case msgspec.ValidationError():
            try:
                return InvalidInput(_sentence(error, msgspec.json.decode(data), kind))
            except (ValueError, RecursionError):
                return InvalidInput(f"this cannot be decoded: {why_undecodable(error, data)}")
        case _:
            return InvalidInput(f"this cannot be decoded: {why_undecodable(error, data)}")


def _sentence(error: msgspec.ValidationError, value: Any, kind: Any) -> str:
    """Msgspec's message as ``room is 5: expected `str`, got `int` ``."""
    text = str(error)
    at = _AT.search(text)
    rule = in_words(text[: at.start()] if at else text)
    path = at["path"].lstrip(".") if at else ""
    if not path:
        return rule
    if rule.startswith("Invalid enum") and (words := choices(kind, path)):
        rule = f"it is one of {', '.join(words)}"
    found: Any = value
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return f"{path}: {rule[0].lower()}{rule[1:]}"
        found = found[key]
    shown = msgspec.json.encode(found).decode()
    return f"{path} is {shown[:_VALUE_SHOWN]}: {rule[0].lower()}{rule[1:]}"
