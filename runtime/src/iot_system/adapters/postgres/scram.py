"""A password as Postgres stores it: servers log statements, so none may bear a password itself."""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256

ITERATIONS = 4096
"""As the server's own `scram_iterations`; a generated password needs none at all."""


def scram_secret(password: str) -> str:
    """Return what the server keeps of ``password``, other each time (RFC 5803, section 2; RFC 5802, section 3)."""
    salt = secrets.token_bytes(16)
    salted = pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, ITERATIONS)
    stored = sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}"


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
