"""Reads what a program needs; a variable that nobody knows is a mistake."""

from __future__ import annotations

import os
from collections.abc import Mapping

from iot_system.errors import InvalidSetting
from iot_system.settings.environment import T, build, variables
from iot_system.settings.programs import (
    ActorSystemSettings,
    ApiSettings,
    MakeStreamsSettings,
    MigrateSettings,
    RayHeadSettings,
)

_FOREIGN = frozenset({"IOT_CACHE", "IOT_CERTIFICATES", "IOT_SECRETS", "IOT_SECRETS_NAMESPACE", "IOT_TOKEN", "IOT_URL"})
"""Variables with our prefix that belong to commands, not to services."""
_ALL = (ApiSettings, ActorSystemSettings, MigrateSettings, MakeStreamsSettings, RayHeadSettings)


def read_settings(kind: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Read settings of ``kind`` from ``environ`` (the process's own by default).

    Raises `InvalidSetting` for a value that breaks its limits, for one that is missing, and for a variable with the
    prefix ``IOT_`` that no service knows: a misspelt setting must not be ignored.
    """
    environ = os.environ if environ is None else environ
    known = {name for settings in _ALL for name in variables(settings)} | _FOREIGN
    if unknown := sorted(name for name in environ if name.startswith("IOT_") and name not in known):
        raise InvalidSetting(f"{unknown[0]} is not a setting; known are {', '.join(sorted(known - _FOREIGN))}")
    return build(kind, environ)
