"""An identity provider: real keys, tokens that it signs, and its JWKS as a file or from a server on loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from iot_system.adapters.jwt.verifier import JwtRules
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.harness.http_server import serving

RULES = JwtRules(
    issuer="https://id.example.org", audience="iot-system", role_claim="iot_role", scope_claim="iot_scopes"
)
_MAKE: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "RS256 short": lambda: rsa.generate_private_key(65537, 1024),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_TO_JWK: dict[str, Any] = {"RS": RSAAlgorithm.to_jwk, "ES": ECAlgorithm.to_jwk, "Ed": OKPAlgorithm.to_jwk}


class Key:
    """A pair of keys for ``algorithm``."""

    def __init__(self, algorithm: str, id_: str | None) -> None:
        self.algorithm = algorithm.split()[0]
        self.id = id_
        self.private = _MAKE[algorithm]()

    def jwk(self, *, private: bool = False) -> dict[str, Any]:
        key = self.private if private else self.private.public_key()
        found: dict[str, Any] = json.loads(_TO_JWK[self.algorithm[:2]](key))
        return found | {"use": "sig", "alg": self.algorithm} | ({"kid": self.id} if self.id else {})

    def sign(self, *, headers: dict[str, Any] | None = None, without: str = "", **claims: Any) -> str:
        """A token that is good for an hour, with other claims where ``claims`` say so."""
        now_s = int(time.time())
        payload = {
            "iss": RULES.issuer,
            "aud": RULES.audience,
            "sub": "ada@example.org",
            "iat": now_s,
            "exp": now_s + 3600,
            "iot_role": "operator",
        } | claims
        payload.pop(without, None)
        named = {"kid": self.id} if self.id else {}
        return jwt.encode(payload, self.private, self.algorithm, headers=named | (headers or {}))


def document(*keys: Key) -> bytes:
    return json.dumps({"keys": [key.jwk() for key in keys]}).encode()


class KeyServer:
    """Serves ``answer`` (status, body) at ``url``, and counts how often it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: tuple[int, bytes] = (200, b"")
        self.asked = 0


@contextmanager
def key_server() -> Iterator[KeyServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            status, body = served.answer
            self.send_response(status)
            if status == 302:
                self.send_header("Location", served.url)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    with serving(Handler) as url:
        served = KeyServer(f"{url}/jwks")
        yield served
