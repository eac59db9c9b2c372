"""Responses in JSON, which end with a line end: a shell's next prompt stands on a line of its own."""

from __future__ import annotations

from typing import Any, TypeVar

import litestar
from litestar.serialization import default_serializer
from litestar.types import Serializer

T = TypeVar("T")


class Response(litestar.Response[T]):
    """Litestar's, with that line end."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        """Text and bytes stay as they are, and nothing stays nothing."""
        body = super().render(content, media_type, enc_hook)
        return body if content is None or isinstance(content, bytes | str) else body + b"\n"
