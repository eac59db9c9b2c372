"""A behaviour's module with a mistake."""

from __future__ import annotations

raise RuntimeError("this module does not work")
