"""Many items in one body: decoded at once where all are well-formed, one by one where some are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from iot_system.adapters.http.bodies import Form, convert, decode_json, decode_msgpack
from iot_system.adapters.http.problems import Rejection, rejection
from iot_system.errors import InvalidInput, IotError, TooLarge

ITEMS_LIMIT = 100_000
T = TypeVar("T")
R = TypeVar("R")
_SLICE = 2048
"""Items checked between two turns of the event loop: some milliseconds, so that others are served meanwhile."""

_BAD_SLICE = 256
"""The same for items of which each may be refused, with a sentence of its own."""

_CONTAINERS = (dict, list)
_json: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_msgpack: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()


class Items(msgspec.Struct, Generic[T], gc=False):
    """What a body holds, in its order: items, or why one could not be read."""

    form: Form
    items: Sequence[T | InvalidInput]
    positions: Sequence[int]

    def rejections(self, bad: dict[int, Exception]) -> list[Rejection]:
        """Tell of the bad items by position: ``line`` for NDJSON, else ``index``."""
        name = "line" if self.form is Form.NDJSON else "index"
        return [rejection(error, **{name: position}) for position, error in sorted(bad.items())]


class BatchReader(Generic[T]):
    """Reads one item of type ``kind``, or many of them, in any `Form`."""

    def __init__(self, kind: type[T] | Any) -> None:
        many: Any = list[kind]  # type: ignore[valid-type]
        self._kind = kind
        self._list: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(many)
        self._line: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._packed: msgspec.msgpack.Decoder[list[T]] = msgspec.msgpack.Decoder(many)

    async def read(self, form: Form, data: bytes) -> Items[T]:
        """Raises `InvalidInput` where nothing can be made of the body, `TooLarge` for too many items."""
        items: Sequence[T | InvalidInput]
        if not data.strip():
            raise InvalidInput("the body is empty")
        if form is Form.NDJSON:
            _check_number(data.count(b"\n"))
        try:
            items = self._all_at_once(form, data)
        except (ValueError, RecursionError):  # some item is bad, or the whole is: find out which
            items = await self._one_by_one(form, data)
        if not items:
            raise InvalidInput("the list is empty; it holds at least one item")
        _check_number(len(items))
        if form is Form.MSGPACK:
            items = [_with_text_keys(item) for item in items]
        positions = _line_numbers(data, len(items)) if form is Form.NDJSON else range(len(items))
        return Items(form, items, positions)

    def _all_at_once(self, form: Form, data: bytes) -> list[T]:
        match form:
            case Form.NDJSON:
                return self._line.decode_lines(data)
            case Form.MSGPACK:
                return self._packed.decode(data)
            case _:
                return self._list.decode(data)

    async def _one_by_one(self, form: Form, data: bytes) -> list[T | InvalidInput]:
        if form is Form.NDJSON:
            lines = [line for line in data.split(b"\n") if line.strip()]
            return await _slice_by_slice(lines, lambda line: _attempt(decode_json, line, self._line))
        decoded = decode_msgpack(data, _msgpack) if form is Form.MSGPACK else decode_json(data, _json)
        if not isinstance(decoded, list):
            return [convert(decoded, self._kind)]
        _check_number(len(decoded))
        return await _slice_by_slice(decoded, lambda item: _attempt(convert, item, self._kind))


async def check(items: Items[T], check_one: Callable[[T], R]) -> tuple[list[R], dict[int, Exception]]:
    """Apply ``check_one`` to all → the good ones in their order, and by position why the others are bad."""
    good: list[R] = []
    bad: dict[int, Exception] = {}
    for start in range(0, len(items.items), _SLICE):
        if start:
            await asyncio.sleep(0)
        for offset, item in enumerate(items.items[start : start + _SLICE], start):
            try:
                if isinstance(item, InvalidInput):
                    raise item
                good.append(check_one(item))
            except IotError as error:
                bad[items.positions[offset]] = error
    return good, bad


async def _slice_by_slice(items: Sequence[Any], read_one: Callable[[Any], R]) -> list[R]:
    results: list[R] = []
    for start in range(0, len(items), _BAD_SLICE):
        if start:
            await asyncio.sleep(0)
        results += [read_one(item) for item in items[start : start + _BAD_SLICE]]
    return results


def _check_number(items: int) -> None:
    if items > ITEMS_LIMIT:
        raise TooLarge(f"the body has {items} items; the limit is {ITEMS_LIMIT}")


def _attempt(read: Callable[..., T], *arguments: Any) -> T | InvalidInput:
    try:
        return read(*arguments)
    except InvalidInput as error:
        return error


def _line_numbers(data: bytes, items: int) -> Sequence[int]:
    """The number of each line that is not blank, from 1."""
    if data.count(b"\n") + (not data.endswith(b"\n")) == items:
        return range(1, items + 1)
    return [number for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]


def _with_text_keys(item: T | InvalidInput) -> T | InvalidInput:
    """MessagePack allows any key where JSON has text: refuse the others."""
    fields = [getattr(item, name) for name in item.__struct_fields__] if isinstance(item, msgspec.Struct) else [item]
    pending = [value for value in fields if isinstance(value, _CONTAINERS)]
    for value in pending:  # grows meanwhile
        if isinstance(value, dict):
            for key, child in value.items():
                if type(key) is not str:
                    return InvalidInput(f"key {str(key)[:24]!r} is not text; all keys must be")
                if isinstance(child, _CONTAINERS):
                    pending.append(child)
        else:
            pending.extend(child for child in value if isinstance(child, _CONTAINERS))
    return item
