"""Behaviours: subclasses of `DeviceActor`, loaded by their dotted name (``package.module:Class``)."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from iot_system.actors.device import DeviceActor
from iot_system.errors import InvalidInput


@cache
def load_behaviour(name: str) -> type[DeviceActor]:
    """Import a behaviour. Raises `InvalidInput` where ``name`` leads to no subclass of `DeviceActor`."""
    module_name, _, class_name = name.partition(":")
    if not (module_name and class_name):
        raise InvalidInput(f"behaviour {name!r} cannot be loaded: it must be like package.module:Class")
    try:
        found = getattr(import_module(module_name), class_name)
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise InvalidInput(f"behaviour {name!r} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, DeviceActor)):
        raise InvalidInput(f"behaviour {name!r} is not a subclass of iot_system.actors.device:DeviceActor")
    return found
