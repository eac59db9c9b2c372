"""A behaviour's module that is a program, and ends the process."""

from __future__ import annotations

raise SystemExit(1)
