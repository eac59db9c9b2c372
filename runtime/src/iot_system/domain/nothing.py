"""The empty object that all share who have nothing: a dict takes 64 bytes, and most actors would have several."""

from __future__ import annotations

from typing import Any, NoReturn


class _Nothing(dict[str, Any]):
    """Equal to ``{}``. What is read only for everybody may be shared; who tries to change it is told."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this is read only, and shared: put another dict in its place")

    __setitem__ = __ior__ = setdefault = update = _refuse


NOTHING: dict[str, Any] = _Nothing()
"""A default of structs; decoding a missing member gives this one, too, and encoding leaves it out."""
