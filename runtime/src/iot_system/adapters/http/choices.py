"""Which words a field may hold, for the sentence that refuses another: neither msgspec nor Litestar says them."""

from __future__ import annotations

from typing import Any

from msgspec import inspect


def choices(kind: Any, path: str = "") -> list[str]:
    """The words that ``kind`` allows, or its field at ``path`` (names with dots between); empty where any will do."""
    found = inspect.type_info(kind)
    for name in filter(None, path.split(".")):
        fields = found.fields if isinstance(found, inspect.StructType) else ()
        field = next((field for field in fields if field.encode_name == name), None)
        if field is None:
            return []
        found = field.type
    kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
    return [str(word) for one in kinds if isinstance(one, inspect.LiteralType) for word in one.values]
