"""Whose token it is: the first administrator's, a device's, an API token, or a JWT; and whose certificate."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from prometheus_client import Counter

from iot_system.domain.access import BOOTSTRAP_ADMIN, Principal
from iot_system.domain.certificates import ClientCertificate
from iot_system.domain.ids import is_id
from iot_system.errors import Forbidden, Overloaded, Unauthenticated
from iot_system.ports.certificates import RevokedCertificates
from iot_system.ports.clock import Clock
from iot_system.ports.jwt import JwtVerifier
from iot_system.services.api_tokens import ApiTokens
from iot_system.services.directory import Directory
from iot_system.services.intake import DISABLED
from iot_system.services.throttle import Throttle

INVALID = "the token is not valid"
REFUSED = Counter("iot_authentication_refused_total", "Tokens and certificates refused", ["why"])
_API_TOKEN = re.compile(r"api\.([0-9a-f]{16})\.[A-Za-z0-9_-]{43}", re.ASCII)
_JWT_START = "eyJ"
"""Base64 of ``{"``."""


class _Claim(msgspec.Struct, frozen=True):
    """What a token says that it is; ``id`` is what its failures are counted under."""

    kind: Literal["admin", "device", "api", "jwt", "unknown"]
    id: str


class Authenticator:
    """One call for all kinds of tokens, one for certificates. Secrets are compared by hash, in constant time.

    ``admin_token`` may be asked for each time: then another one is good as soon as it is told.
    """

    def __init__(
        self,
        directory: Directory,
        tokens: ApiTokens,
        throttle: Throttle,
        clock: Clock,
        *,
        admin_token: str | Callable[[], str] | None,
        jwt: JwtVerifier | None,
        revoked: RevokedCertificates = frozenset(),
    ) -> None:
        self._directory = directory
        self._tokens = tokens
        self._throttle = throttle
        self._clock = clock
        self._admin_token = admin_token or None
        self._jwt = jwt
        self._revoked = revoked

    async def authenticate(
        self,
        token: str,
        *,
        device: str | None = None,
        client: str = "",
        certificate: ClientCertificate | None = None,
    ) -> Principal:
        """See `iot_system.ports.gateway.Gateway.authenticate`."""
        if certificate is not None:
            with _counted():
                self._check_certificate(certificate)
        principal = await self._authenticate(token, device, client)
        return principal if certificate is None else _with(principal, certificate)

    async def authenticate_certificate(self, certificate: ClientCertificate) -> Principal:
        """See `iot_system.ports.gateway.Gateway.authenticate_certificate`."""
        with _counted():
            self._check_certificate(certificate)
            if certificate.device is None:
                raise Unauthenticated("the certificate names no device, and no token says who this is")
            access = await self._directory.recent(certificate.device)
            if access is None:
                raise Unauthenticated(f"device {certificate.device!r} of the certificate is not registered")
            if not access.device.enabled:
                raise Forbidden(DISABLED.format(id=certificate.device))
        return _with(Principal("device", certificate.device), certificate)

    def _check_certificate(self, certificate: ClientCertificate) -> None:
        """Raises `Unauthenticated` for what a handshake does not see, or saw some time ago."""
        if certificate.serial in self._revoked:
            raise Unauthenticated("the certificate was revoked")
        if certificate.expires_us <= self._clock.now_us():
            raise Unauthenticated("the certificate has expired")

    async def _authenticate(self, token: str, device: str | None, client: str) -> Principal:
        hashed = sha256_of(token)
        claim = self._claim(token, hashed, device)
        try:
            self._throttle.check(client, claim.id, hashed)
            principal = await self._verify(token, hashed, claim, client)
        except Unauthenticated:
            self._throttle.failed(client, claim.id, hashed)
            REFUSED.labels("invalid").inc()
            raise
        except Overloaded:
            REFUSED.labels("slowed").inc()
            raise
        except Forbidden:
            REFUSED.labels("forbidden").inc()
            raise
        self._throttle.succeeded(client, claim.id, hashed)
        return principal

    def _claim(self, token: str, hashed: bytes, device: str | None) -> _Claim:
        if device is not None:
            return _Claim("device", device)
        if self._is_admins(hashed):
            return _Claim("admin", BOOTSTRAP_ADMIN)
        if api_token := _API_TOKEN.fullmatch(token):
            return _Claim("api", api_token[1])
        if self._jwt is not None and token.startswith(_JWT_START) and token.count(".") == 2:
            return _Claim("jwt", f"jwt.{hashed.hex()}")  # nobody's wrong token is counted against another's
        owner, _, secret = token.rpartition(".")
        return _Claim("device", owner) if secret and is_id(owner) else _Claim("unknown", BOOTSTRAP_ADMIN)

    def _is_admins(self, hashed: bytes) -> bool:
        admin_token = self._admin_token() if callable(self._admin_token) else self._admin_token
        return admin_token is not None and hmac.compare_digest(hashed, sha256_of(admin_token))

    async def _verify(self, token: str, hashed: bytes, claim: _Claim, client: str) -> Principal:
        match claim.kind:
            case "admin":
                return Principal("admin", BOOTSTRAP_ADMIN)
            case "api":
                return await self._api_token(hashed, claim, client)
            case "jwt" if self._jwt is not None:
                return await self._jwt.principal(token)
            case "device":
                return await self._device(token, hashed, claim, client)
        raise Unauthenticated(INVALID)

    async def _device(self, token: str, hashed: bytes, claim: _Claim, client: str) -> Principal:
        if token.rpartition(".")[0] != claim.id:
            raise Unauthenticated(INVALID)
        access = await self._directory.recent(claim.id)
        self._throttle.check(client, claim.id, hashed)  # again: many may have waited for the same answer
        matching = [one.id for one in access.credentials if hmac.compare_digest(hashed, one.sha256)] if access else []
        if access is None or not matching:
            raise Unauthenticated(INVALID)
        if not access.device.enabled:
            raise Forbidden(DISABLED.format(id=claim.id))
        return Principal("device", claim.id, credential=matching[0])

    async def _api_token(self, hashed: bytes, claim: _Claim, client: str) -> Principal:
        found = await self._tokens.get(claim.id)
        self._throttle.check(client, claim.id, hashed)
        if found is None or not hmac.compare_digest(hashed, found.sha256):
            raise Unauthenticated(INVALID)
        if found.expires_us is not None and found.expires_us <= self._clock.now_us():
            raise Unauthenticated(f"the API token {found.id!r} has expired")
        return Principal(found.role, f"api.{found.id}", found.scopes, found.id, found.expires_us)


def _with(principal: Principal, certificate: ClientCertificate) -> Principal:
    """As long as both are good. Raises `Forbidden` where the certificate is another device's than the token."""
    if principal.role == "device" and certificate.device not in (None, principal.id):
        REFUSED.labels("forbidden").inc()
        raise Forbidden(f"the certificate is of device {certificate.device!r}, the token of device {principal.id!r}")
    ends = [certificate.expires_us, *([] if principal.expires_us is None else [principal.expires_us])]
    return msgspec.structs.replace(principal, certificate=certificate.serial, expires_us=min(ends))


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """Nobody is slowed down: a certificate cannot be guessed."""
    try:
        yield
    except Unauthenticated:
        REFUSED.labels("invalid").inc()
        raise
    except Forbidden:
        REFUSED.labels("forbidden").inc()
        raise


def sha256_of(token: str) -> bytes:
    """What is kept of a token: it bears 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(token.encode()).digest()
