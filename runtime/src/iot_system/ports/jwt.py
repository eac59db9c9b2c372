"""Tokens that somebody else signs (JWT, RFC 7519): whose they are."""

from __future__ import annotations

from typing import Protocol

from iot_system.domain.access import Principal


class JwtVerifier(Protocol):
    """Knows an issuer's keys."""

    async def principal(self, token: str) -> Principal:
        """Who bears this token.

        Raises `Unauthenticated` where it is not valid, `Forbidden` where its claims give no role or no scope that is
        known here, `Unavailable` where the issuer's keys cannot be had.
        """
        ...
