"""An issuer's public keys (JWKS, RFC 7517), from a file or a URL, kept and read again as they change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

import structlog
from jwt import PyJWK, PyJWTError

from iot_system.errors import Unavailable

ALGORITHMS = ("RS256", "ES256", "EdDSA")
FILE_AGE_S = 2.0
URL_AGE_S = 600.0
URL_RETRY_S = 30.0
URL_TIMEOUT_S = 5.0
DOCUMENT_LIMIT = 1 << 20
log = structlog.get_logger()


class Keys:
    """The keys by their id. ``read`` runs in a thread.

    They are read again when they are older than ``age_s``, and for an id that is not among them; two attempts are at
    least ``retry_s`` apart. An attempt that fails leaves what was known.
    """

    def __init__(
        self, read: Callable[[], bytes], monotonic_s: Callable[[], float], *, age_s: float, retry_s: float
    ) -> None:
        self._read = read
        self._monotonic_s = monotonic_s
        self._age_s = age_s
        self._retry_s = retry_s
        self._keys: dict[str | None, PyJWK] | None = None
        self._problem = "were not read yet"
        self._read_s = float("-inf")
        self._tried_s = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, id_: str | None) -> PyJWK | None:
        """The key; without an id the only key there is. Raises `Unavailable` while no keys could be read at all."""
        is_fresh = self._monotonic_s() - self._read_s < self._age_s
        known = self._get(id_)
        if known is not None and (is_fresh or self._reading.locked()):
            return known
        await self._refresh()
        if self._keys is None:
            raise Unavailable(f"the keys of the identity provider {self._problem}", after_s=self._retry_s)
        return self._get(id_)

    def _get(self, id_: str | None) -> PyJWK | None:
        keys = self._keys or {}
        if id_ is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(id_)

    async def _refresh(self) -> None:
        async with self._reading:
            now_s = self._monotonic_s()
            if now_s - self._tried_s < self._retry_s:
                return
            self._tried_s = now_s
            try:
                self._keys = parse_keys(await asyncio.to_thread(self._read))
                self._read_s = now_s
            except (OSError, HTTPException, ValueError) as error:
                self._problem = f"cannot be read: {error}"
                log.warning("keys of the identity provider not read", error=str(error), keeps=len(self._keys or {}))


def keys_from(source: str, monotonic_s: Callable[[], float]) -> Keys:
    """Keys from a file, or from an address with ``http://`` or ``https://``."""
    if is_url(source):
        return Keys(partial(_fetch, source), monotonic_s, age_s=URL_AGE_S, retry_s=URL_RETRY_S)
    return Keys(Path(source).read_bytes, monotonic_s, age_s=FILE_AGE_S, retry_s=FILE_AGE_S)


def is_url(source: str) -> bool:
    """Whether ``source`` is an address and not a file."""
    return source.startswith(("http://", "https://"))


def parse_keys(document: bytes) -> dict[str | None, PyJWK]:
    """The document's keys that sign with one of `ALGORITHMS`, by id. Raises `ValueError` where it is no JWKS."""
    try:
        listed = json.loads(document)["keys"]
        entries = [entry for entry in listed if isinstance(entry, dict)]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("the document has no list of keys (RFC 7517)") from error
    return {entry.get("kid"): key for entry in entries if (key := _usable(entry)) is not None}


def _usable(entry: Mapping[str, Any]) -> PyJWK | None:
    """A key for something else, or of a kind that is not known, is no mistake: it is left out."""
    is_private = "d" in entry  # nobody but the issuer may have it
    is_misnamed = not isinstance(entry.get("kid"), str | None)
    if is_private or is_misnamed or entry.get("kty") == "oct" or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(dict(entry))
    except PyJWTError:
        return None
    return key if key.algorithm_name in ALGORITHMS else None


class _NoRedirect(HTTPRedirectHandler):
    """The address is what the settings say, and no other."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _fetch(url: str) -> bytes:
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - is_url has seen its scheme
    with build_opener(_NoRedirect).open(request, timeout=URL_TIMEOUT_S) as response:
        document: bytes = response.read(DOCUMENT_LIMIT + 1)
    if len(document) > DOCUMENT_LIMIT:
        raise ValueError(f"the document has more than {DOCUMENT_LIMIT} bytes")
    return document
