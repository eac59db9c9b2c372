"""What administrators see and change beside the registry: API tokens, the audit log, failures of behaviours."""

from __future__ import annotations

from typing import Protocol

import msgspec

from iot_system.domain.access import Role, Scope
from iot_system.domain.addresses import Address
from iot_system.domain.questions import Failure
from iot_system.domain.registry import ApiToken, Page


class IssuedApiToken(msgspec.Struct, frozen=True):
    """A new API token; ``secret`` is shown this once only."""

    token: ApiToken
    secret: str


class Administration(Protocol):
    """Raises `iot_system.errors`, each with one sentence for the client."""

    async def issue_api_token(
        self, name: str, role: Role, scopes: tuple[Scope, ...], *, expires_us: int | None, by: str
    ) -> IssuedApiToken:
        """Make a token for a person or a program."""
        ...

    async def list_api_tokens(self, *, limit: int, cursor: str | None) -> Page:
        """`ApiToken`s by id."""
        ...

    async def revoke_api_token(self, id_: str, *, by: str) -> None:
        """Raises `NotFound`."""
        ...

    async def audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        """`AuditEntry`s, the newest first; ``target`` is like ``devices/ID``."""
        ...

    async def failures(self, actor: Address) -> list[Failure]:
        """The messages at which an actor's behaviour raised, the newest first.

        Raises `NotFound` for a device that is not registered; of a room that nobody knows there are none.
        """
        ...
