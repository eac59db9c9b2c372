"""Settings of a behaviour in the desired state of its device or room, where users change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def read_settings(desired: Mapping[str, Any], name: str, kind: type[S]) -> tuple[S, str | None]:
    """Return what ``desired`` says under ``name``; what makes no sense gives the defaults, and a sentence."""
    try:
        return msgspec.convert(desired.get(name) or {}, kind), None
    except msgspec.ValidationError as error:
        return kind(), str(error)
