"""Query parameters: a misspelt one must not be ignored, or a filter would silently not filter."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from iot_system.errors import InvalidInput

_SHOWN = 80


async def no_unknown_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: every query parameter is one that the route knows. Raises `InvalidInput`."""
    if not connection.scope["query_string"]:
        return
    known = _known(handler)
    for name in connection.query_params:
        if name not in known:
            knows = f"this route knows {', '.join(known)}" if known else "this route knows none"
            raise InvalidInput(f"query parameter {name[:_SHOWN]!r} is not known; {knows}")


@lru_cache
def _known(handler: BaseRouteHandler) -> tuple[str, ...]:
    found = []
    for name, parameter in handler.parsed_fn_signature.parameters.items():
        definition = parameter.kwarg_definition
        if isinstance(definition, QueryParameter):
            found.append(definition.name or name)
    return tuple(sorted(found))
