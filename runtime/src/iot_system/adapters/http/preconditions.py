"""`If-Match` and `ETag` for versions of desired state (RFC 9110, sections 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from litestar.params import HeaderParameter

from iot_system.errors import InvalidInput, PreconditionFailed

_ETAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_SHOWN = 80
IfMatch: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description='Change only this version, as an `ETag` gave it: `"3"`; `*` is any.',
    ),
]


def etag(version: int) -> dict[str, str]:
    """The header that names ``version``."""
    return {"ETag": f'"{version}"'}


def version_of(if_match: str | None) -> int | None:
    """The version that a change is for, or None for any.

    Raises `InvalidInput` for what is no entity tag, `PreconditionFailed` for one that no version has.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidInput(f'If-Match is {if_match[:_SHOWN]!r}; it is one version, as in "3", or *')
    if not (found[1].isdecimal() and len(found[1]) <= 18):
        raise PreconditionFailed(f"If-Match is {if_match[:_SHOWN]!r}; no version has this tag")
    return int(found[1])
