"""Where things are: the checkout, and the cache outside it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def cache() -> Path:
    """The project's cache: $IOT_CACHE, else iot-system below $XDG_CACHE_HOME or ~/.cache."""
    own = os.environ.get("IOT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "iot-system"
