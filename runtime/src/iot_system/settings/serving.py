"""What an API pod serves: ports, their certificates, and whose tokens and certificates are good there."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from iot_system.errors import InvalidSetting
from iot_system.settings.checks import check_pair
from iot_system.settings.environment import env

Port = Annotated[int, Meta(ge=0, le=65535)]
ClientCertificates = Literal["off", "optional", "required"]
"""What a TLS port wants of its clients: not asked for, good where it is shown, or nobody without one."""


def _check_jwks(text: str) -> None:
    scheme, separator, rest = text.partition("://")
    if "@" in rest:  # the sentence must not repeat it
        raise InvalidSetting("IOT_JWT_JWKS bears a user or a password; keys are public, they need none")
    if separator and (scheme not in ("http", "https") or not rest):
        raise InvalidSetting(f"IOT_JWT_JWKS is {text!r}; it is a file, or an address with http:// or https://")


def _check_clients(prefix: str, certificate: str | None, clients: ClientCertificates) -> None:
    if clients != "off" and certificate is None:
        raise InvalidSetting(
            f"{prefix}_CLIENT_CERTIFICATES is {clients!r} without {prefix}_CERTIFICATE: only TLS carries them"
        )


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process listens; port 0 takes a free one."""

    host: Annotated[str, env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    http_port: Annotated[Port, env("IOT_HTTP_PORT")] = 8000
    mqtt_port: Annotated[Port, env("IOT_MQTT_PORT")] = 1883


class HttpTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of the REST interface's own certificate; with them its port speaks TLS alone."""

    certificate: Annotated[str | None, env("IOT_HTTP_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, env("IOT_HTTP_TLS_KEY")] = None
    client_certificates: Annotated[ClientCertificates, env("IOT_HTTP_TLS_CLIENT_CERTIFICATES")] = "off"

    def __post_init__(self) -> None:
        check_pair("IOT_HTTP_TLS", self.certificate, self.key)
        _check_clients("IOT_HTTP_TLS", self.certificate, self.client_certificates)


class MqttTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of MQTT's own certificate, which ``port`` serves beside the plain one; ``plain`` off closes that."""

    port: Annotated[Port, env("IOT_MQTT_TLS_PORT")] = 8883
    certificate: Annotated[str | None, env("IOT_MQTT_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, env("IOT_MQTT_TLS_KEY")] = None
    client_certificates: Annotated[ClientCertificates, env("IOT_MQTT_TLS_CLIENT_CERTIFICATES")] = "off"
    plain: Annotated[Literal["on", "off"], env("IOT_MQTT_PLAIN")] = "on"

    def __post_init__(self) -> None:
        check_pair("IOT_MQTT_TLS", self.certificate, self.key)
        _check_clients("IOT_MQTT_TLS", self.certificate, self.client_certificates)
        if self.plain == "off" and self.certificate is None:
            raise InvalidSetting("IOT_MQTT_PLAIN is off without IOT_MQTT_TLS_CERTIFICATE: nobody could speak MQTT")


class DeviceCertificateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``ca`` (PEM) signs the certificates that clients show; ``revoked`` lists the serial numbers of those not good."""

    ca: Annotated[str | None, env("IOT_DEVICE_CA")] = None
    revoked: Annotated[str | None, env("IOT_DEVICE_CERTIFICATES_REVOKED")] = None


class JwtSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider whose tokens are accepted; none without ``issuer``. ``jwks``: a file or an address."""

    issuer: Annotated[str | None, env("IOT_JWT_ISSUER")] = None
    audience: Annotated[str | None, env("IOT_JWT_AUDIENCE")] = None
    jwks: Annotated[str | None, env("IOT_JWT_JWKS", check=_check_jwks)] = None
    role_claim: Annotated[str, env("IOT_JWT_ROLE_CLAIM")] = "iot_role"
    scope_claim: Annotated[str, env("IOT_JWT_SCOPE_CLAIM")] = "iot_scopes"

    def __post_init__(self) -> None:
        if 0 < sum(one is not None for one in (self.issuer, self.audience, self.jwks)) < 3:
            raise InvalidSetting("IOT_JWT_ISSUER, IOT_JWT_AUDIENCE and IOT_JWT_JWKS belong together: set all, or none")
