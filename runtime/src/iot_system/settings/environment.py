"""From environment variables to values: what a field says of its own, and how text becomes what the field is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from iot_system.errors import InvalidSetting

T = TypeVar("T", bound=msgspec.Struct)


def env(name: str, *, check: Callable[[str], None] | None = None, missing: str = "") -> Meta:
    """The variable that a field is read from; ``missing`` says what to give where there is no default."""
    return Meta(extra={"env": name, "check": check, "missing": missing})


def _fields(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Field → its type and what `env` says of it (nothing: a group of further fields)."""
    fields: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        metas = (meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta))
        fields[name] = (hint, next((meta.extra for meta in metas if meta.extra), {}))
    return fields


def variables(kind: type[msgspec.Struct]) -> set[str]:
    """The names of all that ``kind`` and its groups are read from."""
    found: set[str] = set()
    for hint, said in _fields(kind).values():
        found |= {said["env"]} if said else variables(hint)
    return found


def build(kind: type[T], environ: Mapping[str, str]) -> T:
    """Raises `InvalidSetting` for a value that breaks its limits, and for one that is missing."""
    values: dict[str, Any] = {}
    for name, (hint, said) in _fields(kind).items():
        if not said:
            values[name] = build(hint, environ)
        elif text := environ.get(said["env"]):
            if said["check"]:
                said["check"](text)
            values[name] = _convert(said["env"], text, hint)
        elif said["missing"]:
            raise InvalidSetting(f"{said['env']} is not set; {said['missing']}")
    return kind(**values)


def _convert(variable: str, text: str, hint: Any) -> Any:
    choices = getattr(getattr(hint, "__origin__", hint), "__args__", ())
    if choices and not any(isinstance(one, type) for one in choices):  # a Literal
        for choice in choices:
            if str(choice) == text:
                return choice
        raise InvalidSetting(f"{variable} is {text!r}; it is one of {', '.join(map(str, choices))}")
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidSetting(f"{variable} is {text!r}: {error}") from error
