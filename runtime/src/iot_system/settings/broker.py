"""NATS: where it is, who we are there, and the streams."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from iot_system.domain.ids import PARTITION_LIMIT
from iot_system.errors import InvalidSetting
from iot_system.settings.checks import check_pair, check_secret, is_address
from iot_system.settings.environment import env

Partitions = Annotated[int, Meta(ge=1, le=PARTITION_LIMIT)]


def _check_broker(text: str) -> None:
    if "@" in text:  # the sentence must not repeat it: it would stand in logs
        raise InvalidSetting("NATS_URL bears a user or a password; they belong into NATS_USER and NATS_PASSWORD")
    for url in text.split(","):
        scheme, _, address = url.partition("://")
        if scheme not in ("nats", "tls") or not is_address(address):
            raise InvalidSetting(f"NATS_URL is {text!r}; it is nats://HOST:PORT or tls://HOST:PORT, several by commas")


class BrokerTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of TLS with NATS: who signed its certificate, and what this service shows of itself."""

    ca: Annotated[str | None, env("NATS_TLS_CA")] = None
    certificate: Annotated[str | None, env("NATS_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, env("NATS_TLS_KEY")] = None

    def __post_init__(self) -> None:
        check_pair("NATS_TLS", self.certificate, self.key)


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS; ``urls`` are separated by commas. Secrets never stand in ``urls``.

    What stands in ``password_file`` is read for each connection.
    """

    urls: Annotated[str, env("NATS_URL", check=_check_broker)] = "nats://127.0.0.1:4222"
    user: Annotated[str | None, env("NATS_USER")] = None
    password: Annotated[str | None, env("NATS_PASSWORD")] = None
    password_file: Annotated[str | None, env("NATS_PASSWORD_FILE")] = None
    tls: BrokerTlsSettings = BrokerTlsSettings()

    def __post_init__(self) -> None:
        check_secret("NATS_PASSWORD", self.password, self.password_file)
        schemes = {url.partition("://")[0] for url in self.urls.split(",")}
        if len(schemes) > 1:
            raise InvalidSetting(f"NATS_URL is {self.urls!r}; all of its servers are nats://, or all are tls://")
        if self.tls != BrokerTlsSettings() and not self.is_encrypted:
            raise InvalidSetting(f"NATS_TLS_… is set, and NATS_URL is {self.urls!r}: encrypted servers are tls://…")

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing may be said to a server that offers no TLS."""
        return self.urls.startswith("tls://")


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The streams as they are made; services need ``partitions`` alone, which are fixed from then on."""

    partitions: Annotated[Partitions, env("IOT_PARTITIONS")] = 64
    replicas: Annotated[Literal[1, 3, 5], env("IOT_STREAM_REPLICAS")] = 1
    max_bytes: Annotated[int, Meta(ge=1 << 20), env("IOT_STREAM_MAX_BYTES")] = 1 << 30
    events_max_bytes: Annotated[int, Meta(ge=1 << 20), env("IOT_EVENTS_MAX_BYTES")] = 256 << 20
