"""TLS contexts from files, made anew when the files change: Kubernetes replaces mounted secrets under a running pod.

A context is never changed: who has begun a handshake keeps the one that it began with, and a CA that is gone from the
file is gone from the next context (OpenSSL only ever adds to one). Session tickets do not outlive their context either.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from iot_system.errors import InvalidSetting
from iot_system.settings import ClientCertificates

LOOK_EVERY_S = 2.0
_VERIFY = {"off": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
log = structlog.get_logger()


class NamedFile(msgspec.Struct, frozen=True):
    """A file and the setting that names it."""

    setting: str
    path: str

    def __str__(self) -> str:
        return f"{self.setting} ({self.path})"


class Pair(msgspec.Struct, frozen=True):
    """A certificate, with the intermediates that it needs, and its key; both PEM."""

    certificate: NamedFile
    key: NamedFile


class TlsContexts:
    """The context of the files as they are now, looked at `LOOK_EVERY_S` seconds apart at most.

    Raises `InvalidSetting` where it cannot be made at first. What cannot be used later, e.g. because only half of it is
    written, leaves the last good one, and is told by one line.
    """

    def __init__(
        self,
        files: Sequence[NamedFile],
        make: Callable[[], ssl.SSLContext],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._make = make
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._seen = self._fingerprint()
        self._current = make()

    @property
    def current(self) -> ssl.SSLContext:
        """For one connection."""
        now_s = self._monotonic_s()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._look()
        return self._current

    def _look(self) -> None:
        try:
            found = self._fingerprint()
            if found == self._seen:
                return
            self._seen = found
            self._current = self._make()
        except InvalidSetting as error:
            log.error("new certificates cannot be used, the last good ones stay", why=str(error))
        else:
            log.info("certificates read again", files=[str(one) for one in self._files])

    def _fingerprint(self) -> bytes:
        """Of the contents: what is copied or linked anew has its old times, or not."""
        sums = hashlib.sha256()
        for one in self._files:
            sums.update(hashlib.sha256(_read(one)).digest())
        return sums.digest()


def server_contexts(
    pair: Pair,
    client_ca: NamedFile | None,
    clients: ClientCertificates,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> TlsContexts:
    """For a port of ours; ``clients`` says what becomes of their certificates. Raises `InvalidSetting`."""

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        _load_pair(context, pair)
        if client_ca is not None and clients != "off":
            _load_ca(context, client_ca)
            context.verify_mode = _VERIFY[clients]
        return context

    return TlsContexts(_files(pair, client_ca), make, monotonic_s)


def client_contexts(
    ca: NamedFile | None, pair: Pair | None, monotonic_s: Callable[[], float] = time.monotonic
) -> TlsContexts:
    """For connections of ours: certificate and name of the server are verified, by the system's CAs without ``ca``.

    Raises `InvalidSetting`.
    """

    def make() -> ssl.SSLContext:
        # Not by default: that would add the system's CAs to our own.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ca else ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca is not None:
            _load_ca(context, ca)
        if pair is not None:
            _load_pair(context, pair)
        return context

    return TlsContexts(_files(pair, ca), make, monotonic_s)


def pair_of(prefix: str, certificate: str | None, key: str | None) -> Pair | None:
    """The files that the settings ``prefix``\\ _CERTIFICATE and ``prefix``\\ _KEY name; None where they name none."""
    if certificate is None or key is None:
        return None
    return Pair(NamedFile(f"{prefix}_CERTIFICATE", certificate), NamedFile(f"{prefix}_KEY", key))


def file_of(setting: str, path: str | None) -> NamedFile | None:
    """None where there is no path."""
    return None if path is None else NamedFile(setting, path)


def _files(pair: Pair | None, ca: NamedFile | None) -> list[NamedFile]:
    return [*([pair.certificate, pair.key] if pair else []), *([ca] if ca else [])]


def _read(file: NamedFile) -> bytes:
    try:
        return Path(file.path).read_bytes()
    except OSError as error:
        raise InvalidSetting(f"{file} cannot be read: {error.strerror}") from error


def _load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    try:
        # Without a password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(pair.certificate.path, pair.key.path, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise InvalidSetting(f"{pair.key} is not the key of {pair.certificate}") from error
        raise InvalidSetting(
            f"{pair.certificate} and {pair.key} are no certificate with its key: {_reason(error)}"
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{pair.certificate} and {pair.key} cannot be used: {error}") from error


def _load_ca(context: ssl.SSLContext, ca: NamedFile) -> None:
    try:
        context.load_verify_locations(cafile=ca.path)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"{ca} holds no certificate of a CA: {_reason(error)}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(reason).lower().replace("_", " ")
