"""JSON merge patch, RFC 7396."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.msgpack import encode


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``target`` with ``patch`` merged in: None removes a member, objects merge, all else replaces."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def would_change(target: Mapping[str, Any], patch: Mapping[str, Any]) -> bool:
    """Whether `merge_patch` would return something else than ``target``; 1, 1.0 and true differ."""
    for key, value in patch.items():
        if value is None:
            if key in target:
                return True
        elif key not in target:
            return True
        elif isinstance(value, dict):
            before = target[key]
            if not isinstance(before, dict) or would_change(before, value):
                return True
        elif encode(value) != encode(target[key]):
            return True
    return False
