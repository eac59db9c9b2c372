"""API tokens, the audit log and failures of behaviours, asked of whichever shard is free."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable

from iot_system.domain import questions
from iot_system.domain.access import Role, Scope
from iot_system.domain.addresses import Address
from iot_system.domain.questions import Failure
from iot_system.domain.registry import ApiToken, AuditEntry, Page
from iot_system.ports.administration import IssuedApiToken
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests
from iot_system.services.asking import Asking

API_TOKEN = "api"  # noqa: S105 - how every API token begins
ANNOUNCED = "token:"
"""Before a token's id in announcements; no device's id has a colon."""


class ActorAdministration:
    """Implements `iot_system.ports.administration.Administration`."""

    def __init__(
        self, asking: Asking, requests: Requests, clock: Clock, must_exist: Callable[[str], Awaitable[None]]
    ) -> None:
        self._asking = asking
        self._requests = requests
        self._clock = clock
        self._must_exist = must_exist

    async def issue_api_token(
        self, name: str, role: Role, scopes: tuple[Scope, ...], *, expires_us: int | None, by: str
    ) -> IssuedApiToken:
        """See `iot_system.ports.administration.Administration.issue_api_token`."""
        id_ = secrets.token_hex(8)
        secret = f"{API_TOKEN}.{id_}.{secrets.token_urlsafe(32)}"
        token = ApiToken(
            id=id_,
            name=name,
            role=role,
            scopes=scopes,
            sha256=hashlib.sha256(secret.encode()).digest(),
            created_us=self._clock.now_us(),
            expires_us=expires_us,
            created_by=by,
        )
        await self._asking.ask(None, questions.PutToken(token, by), type(None))
        return IssuedApiToken(token, secret)

    async def list_api_tokens(self, *, limit: int, cursor: str | None) -> Page:
        """See `iot_system.ports.administration.Administration.list_api_tokens`."""
        return await self._asking.ask_page(None, questions.ListTokens(limit, cursor), ApiToken)

    async def revoke_api_token(self, id_: str, *, by: str) -> None:
        """See `iot_system.ports.administration.Administration.revoke_api_token`."""
        await self._asking.ask(None, questions.DeleteToken(id_, by), type(None))
        await self._requests.announce(ANNOUNCED + id_)

    async def audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        """See `iot_system.ports.administration.Administration.audit`."""
        return await self._asking.ask_page(None, questions.ListAudit(target, by, limit, cursor), AuditEntry)

    async def failures(self, actor: Address) -> list[Failure]:
        """See `iot_system.ports.administration.Administration.failures`."""
        if actor.kind == "device":
            await self._must_exist(actor.id)
        return await self._asking.ask_owner(actor.id, questions.GetFailures(actor), list[Failure])
