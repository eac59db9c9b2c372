"""A JWT's signature and claims → who bears it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec

from iot_system.adapters.jwt.keys import ALGORITHMS, Keys, keys_from
from iot_system.domain.access import BOOTSTRAP_ADMIN, PERSONS, Principal, Role, Scope, parse_scope
from iot_system.errors import Forbidden, InvalidInput, Unauthenticated
from iot_system.settings import JwtSettings

LEEWAY_S = 30
"""How far clocks may be apart."""
TOKEN_LIMIT = 16 * 1024
SUBJECT_LIMIT = 256
SCOPES_LIMIT = 100
_SHOWN = 80


class JwtRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a token must say, and in which claims it says what its bearer may do."""

    issuer: str
    audience: str
    role_claim: str
    scope_claim: str


class KeySetVerifier:
    """Implements `iot_system.ports.jwt.JwtVerifier`."""

    def __init__(self, rules: JwtRules, keys: Keys) -> None:
        self._rules = rules
        self._keys = keys

    async def principal(self, token: str) -> Principal:
        """See `iot_system.ports.jwt.JwtVerifier.principal`."""
        if len(token) > TOKEN_LIMIT:
            raise Unauthenticated(f"the token has {len(token)} characters; the limit is {TOKEN_LIMIT}")
        return _principal(await self._verified(token), self._rules)

    async def _verified(self, token: str) -> Mapping[str, Any]:
        rules = self._rules
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated("the token is signed with a key that its issuer does not publish")
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=rules.issuer,
                audience=rules.audience,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise Unauthenticated(f"the token is not valid: {_sentence(error)}") from error


def jwt_verifier(settings: JwtSettings, monotonic_s: Callable[[], float]) -> KeySetVerifier | None:
    """The verifier that the settings ask for, if any."""
    if settings.issuer is None or settings.audience is None or settings.jwks is None:
        return None
    rules = JwtRules(
        issuer=settings.issuer,
        audience=settings.audience,
        role_claim=settings.role_claim,
        scope_claim=settings.scope_claim,
    )
    return KeySetVerifier(rules, keys_from(settings.jwks, monotonic_s))


def _principal(claims: Mapping[str, Any], rules: JwtRules) -> Principal:
    subject, expires_s = claims["sub"], claims["exp"]
    if not isinstance(expires_s, int | float):  # PyJWT takes text, too
        raise Unauthenticated(f"the token's claim 'exp' is {str(expires_s)[:_SHOWN]!r}; it must be a number")
    if not 0 < len(subject) <= SUBJECT_LIMIT or not subject.isprintable() or subject == BOOTSTRAP_ADMIN:
        raise Forbidden(f"the token's subject {subject[:_SHOWN]!r} cannot be told in the audit log")
    return Principal(
        role=_role(claims.get(rules.role_claim), rules.role_claim),
        id=subject,
        scopes=_scopes(claims, rules.scope_claim),
        expires_us=int((expires_s + LEEWAY_S) * 1_000_000),
    )


def _role(said: object, claim: str) -> Role:
    """The role that the claim names, the highest where it names several."""
    named = said if isinstance(said, list) else [said]
    roles = [role for role in PERSONS if role in named]
    if not roles:
        known = ", ".join(PERSONS)
        raise Forbidden(f"the token's claim {claim!r} is {str(said)[:_SHOWN]!r}; it names one of {known}")
    return roles[-1]


def _scopes(claims: Mapping[str, Any], claim: str) -> tuple[Scope, ...]:
    """Without the claim there is no narrowing. A claim that is empty, or not understood, must not mean the same."""
    if claim not in claims:
        return ()
    said = claims[claim]
    texts = said.split() if isinstance(said, str) else said
    if not isinstance(texts, list) or not 0 < len(texts) <= SCOPES_LIMIT:
        raise Forbidden(f"the token's claim {claim!r} must hold 1 to {SCOPES_LIMIT} scopes, or be left out")
    try:
        return tuple(parse_scope(str(text)) for text in texts)
    except InvalidInput as error:
        raise Forbidden(f"the token's claim {claim!r}: {error}") from error


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1 : 2 * _SHOWN]
