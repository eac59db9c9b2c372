"""Tokens of people and programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from iot_system.client.records import NewToken, Token
from iot_system.client.rest import Rest, segment
from iot_system.domain.access import Role

PAGE_SIZE = 1_000


class Tokens:
    """``IotClient.tokens``; for administrators."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def create(
        self, name: str, role: Role, *, scopes: Sequence[str] = (), expires: float | None = None
    ) -> NewToken:
        """Make a token. ``scopes`` narrow the role to ``room:ID`` or ``label:name=value``; ``expires`` is in ms.

        One whose answer is lost is made again, and nobody knows the first.
        """
        body = {"name": name, "role": role, "scopes": list(scopes)}
        return await self._rest.send(
            "POST", "/v1/tokens", body if expires is None else body | {"expires": expires}, NewToken
        )

    def list(self) -> AsyncIterator[Token]:
        """All tokens by id."""
        return self._rest.items("/v1/tokens", Token, {"limit": PAGE_SIZE})

    async def delete(self, token: str) -> None:
        """Make the token with this id invalid, everywhere within 5 s. Raises `NotFound`."""
        await self._rest.delete(f"/v1/tokens/{segment(token)}")
