"""Settings: read once, from the environment, at start. A bad one stops the start with one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from iot_system.domain.ids import PARTITION_LIMIT
from iot_system.errors import InvalidSetting

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Partitions = Annotated[int, Meta(ge=1, le=PARTITION_LIMIT)]
LogLevel = Literal["debug", "info", "warning", "error"]
ClientCertificates = Literal["off", "optional", "required"]
"""What a TLS port wants of its clients: not asked for, good where it is shown, or nobody without one."""
T = TypeVar("T", bound=msgspec.Struct)


def _env(name: str, *, check: Callable[[str], None] | None = None, missing: str = "") -> Meta:
    """The variable that a field is read from; ``missing`` says what to give where there is no default."""
    return Meta(extra={"env": name, "check": check, "missing": missing})


_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and 0 < int(match[1]) <= 65535


def _check_broker(text: str) -> None:
    if "@" in text:  # the sentence must not repeat it: it would stand in logs
        raise InvalidSetting("NATS_URL bears a user or a password; they belong into NATS_USER and NATS_PASSWORD")
    for url in text.split(","):
        scheme, _, address = url.partition("://")
        if scheme not in ("nats", "tls") or not _is_address(address):
            raise InvalidSetting(f"NATS_URL is {text!r}; it is nats://HOST:PORT or tls://HOST:PORT, several by commas")


def _check_ray(text: str) -> None:
    if not _is_address(text):
        raise InvalidSetting(f"IOT_RAY_ADDRESS is {text!r}; it is HOST:PORT")


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


def _check_pair(prefix: str, certificate: str | None, key: str | None) -> None:
    if (certificate is None) != (key is None):
        raise InvalidSetting(f"{prefix}_CERTIFICATE and {prefix}_KEY belong together: set both, or none")


def _check_secret(name: str, text: str | None, path: str | None) -> None:
    if text is not None and path is not None:
        raise InvalidSetting(f"{name} and {name}_FILE are both set: give one of them")


class BrokerTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of TLS with NATS: who signed its certificate, and what this service shows of itself."""

    ca: Annotated[str | None, _env("NATS_TLS_CA")] = None
    certificate: Annotated[str | None, _env("NATS_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, _env("NATS_TLS_KEY")] = None

    def __post_init__(self) -> None:
        _check_pair("NATS_TLS", self.certificate, self.key)


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS; ``urls`` are separated by commas. Secrets never stand in ``urls``.

    What stands in ``password_file`` is read for each connection.
    """

    urls: Annotated[str, _env("NATS_URL", check=_check_broker)] = "nats://127.0.0.1:4222"
    user: Annotated[str | None, _env("NATS_USER")] = None
    password: Annotated[str | None, _env("NATS_PASSWORD")] = None
    password_file: Annotated[str | None, _env("NATS_PASSWORD_FILE")] = None
    tls: BrokerTlsSettings = BrokerTlsSettings()

    def __post_init__(self) -> None:
        _check_secret("NATS_PASSWORD", self.password, self.password_file)
        schemes = {url.partition("://")[0] for url in self.urls.split(",")}
        if len(schemes) > 1:
            raise InvalidSetting(f"NATS_URL is {self.urls!r}; all of its servers are nats://, or all are tls://")
        if self.tls != BrokerTlsSettings() and not self.is_encrypted:
            raise InvalidSetting(f"NATS_TLS_… is set, and NATS_URL is {self.urls!r}: encrypted servers are tls://…")

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing may be said to a server that offers no TLS."""
        return self.urls.startswith("tls://")


class DatabaseTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of TLS with Postgres: with ``ca`` its certificate and name are verified, or nothing is sent."""

    ca: Annotated[str | None, _env("DATABASE_TLS_CA")] = None
    certificate: Annotated[str | None, _env("DATABASE_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, _env("DATABASE_TLS_KEY")] = None

    def __post_init__(self) -> None:
        _check_pair("DATABASE_TLS", self.certificate, self.key)
        if self.certificate is not None and self.ca is None:
            raise InvalidSetting("DATABASE_TLS_CERTIFICATE needs DATABASE_TLS_CA: who signed the server's certificate")


class DatabaseRoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who migrates, beside the user of `DATABASE_URL`: without ``owner_url`` that one does everything.

    The administrator makes the roles, where there is one; otherwise the owner does.
    """

    owner_url: Annotated[str | None, _env("DATABASE_OWNER_URL")] = None
    reader_url: Annotated[str | None, _env("DATABASE_READER_URL")] = None
    admin_user: Annotated[str | None, _env("DATABASE_ADMIN_USER")] = None
    admin_password: Annotated[str | None, _env("DATABASE_ADMIN_PASSWORD")] = None

    def __post_init__(self) -> None:
        if (self.admin_user is None) != (self.admin_password is None):
            raise InvalidSetting("DATABASE_ADMIN_USER and DATABASE_ADMIN_PASSWORD belong together: set both, or none")


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The streams as they are made; services need ``partitions`` alone, which are fixed from then on."""

    partitions: Annotated[Partitions, _env("IOT_PARTITIONS")] = 64
    replicas: Annotated[Literal[1, 3, 5], _env("IOT_STREAM_REPLICAS")] = 1
    max_bytes: Annotated[int, Meta(ge=1 << 20), _env("IOT_STREAM_MAX_BYTES")] = 1 << 30
    events_max_bytes: Annotated[int, Meta(ge=1 << 20), _env("IOT_EVENTS_MAX_BYTES")] = 256 << 20


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process listens; port 0 takes a free one."""

    host: Annotated[str, _env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    http_port: Annotated[Port, _env("IOT_HTTP_PORT")] = 8000
    mqtt_port: Annotated[Port, _env("IOT_MQTT_PORT")] = 1883


class HttpTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of the REST interface's own certificate; with them its port speaks TLS alone."""

    certificate: Annotated[str | None, _env("IOT_HTTP_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, _env("IOT_HTTP_TLS_KEY")] = None
    client_certificates: Annotated[ClientCertificates, _env("IOT_HTTP_TLS_CLIENT_CERTIFICATES")] = "off"

    def __post_init__(self) -> None:
        _check_pair("IOT_HTTP_TLS", self.certificate, self.key)
        _check_clients("IOT_HTTP_TLS", self.certificate, self.client_certificates)


class MqttTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of MQTT's own certificate, which ``port`` serves beside the plain one; ``plain`` off closes that."""

    port: Annotated[Port, _env("IOT_MQTT_TLS_PORT")] = 8883
    certificate: Annotated[str | None, _env("IOT_MQTT_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, _env("IOT_MQTT_TLS_KEY")] = None
    client_certificates: Annotated[ClientCertificates, _env("IOT_MQTT_TLS_CLIENT_CERTIFICATES")] = "off"
    plain: Annotated[Literal["on", "off"], _env("IOT_MQTT_PLAIN")] = "on"

    def __post_init__(self) -> None:
        _check_pair("IOT_MQTT_TLS", self.certificate, self.key)
        _check_clients("IOT_MQTT_TLS", self.certificate, self.client_certificates)
        if self.plain == "off" and self.certificate is None:
            raise InvalidSetting("IOT_MQTT_PLAIN is off without IOT_MQTT_TLS_CERTIFICATE: nobody could speak MQTT")


class DeviceCertificateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``ca`` (PEM) signs the certificates that clients show; ``revoked`` lists the serial numbers of those not good."""

    ca: Annotated[str | None, _env("IOT_DEVICE_CA")] = None
    revoked: Annotated[str | None, _env("IOT_DEVICE_CERTIFICATES_REVOKED")] = None


class JwtSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider whose tokens are accepted; none without ``issuer``. ``jwks``: a file or an address."""

    issuer: Annotated[str | None, _env("IOT_JWT_ISSUER")] = None
    audience: Annotated[str | None, _env("IOT_JWT_AUDIENCE")] = None
    jwks: Annotated[str | None, _env("IOT_JWT_JWKS", check=_check_jwks)] = None
    role_claim: Annotated[str, _env("IOT_JWT_ROLE_CLAIM")] = "iot_role"
    scope_claim: Annotated[str, _env("IOT_JWT_SCOPE_CLAIM")] = "iot_scopes"

    def __post_init__(self) -> None:
        if 0 < sum(one is not None for one in (self.issuer, self.audience, self.jwks)) < 3:
            raise InvalidSetting("IOT_JWT_ISSUER, IOT_JWT_AUDIENCE and IOT_JWT_JWKS belong together: set all, or none")


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes have in common."""

    log_level: Annotated[LogLevel, _env("IOT_LOG_LEVEL")] = "info"
    drain_timeout_s: Annotated[Seconds, _env("IOT_DRAIN_TIMEOUT_S")] = 20.0

    @property
    def requests_timeout_s(self) -> float:
        """The share of a stop that HTTP requests under way may take; what comes after them has the other half."""
        return self.drain_timeout_s / 2


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system api`. The administrator's token is text, or a file that is read again when it changes."""

    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    listen: ListenSettings = ListenSettings()
    process: ProcessSettings = ProcessSettings()
    http_tls: HttpTlsSettings = HttpTlsSettings()
    mqtt_tls: MqttTlsSettings = MqttTlsSettings()
    devices: DeviceCertificateSettings = DeviceCertificateSettings()
    admin_token: Annotated[str | None, _env("IOT_ADMIN_TOKEN")] = None
    admin_token_file: Annotated[str | None, _env("IOT_ADMIN_TOKEN_FILE")] = None
    jwt: JwtSettings = JwtSettings()

    def __post_init__(self) -> None:
        _check_secret("IOT_ADMIN_TOKEN", self.admin_token, self.admin_token_file)
        wanted = {self.http_tls.client_certificates, self.mqtt_tls.client_certificates} != {"off"}
        if wanted and self.devices.ca is None:
            raise InvalidSetting("client certificates are asked for, and IOT_DEVICE_CA does not say who signs them")


DatabaseUrl = Annotated[
    str, _env("DATABASE_URL", missing="give postgresql://…, sqlite:///FILE, or sqlite:///:memory: to keep nothing")
]


class ShardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a shard process needs. Memory that ends with it must be asked for by name."""

    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    database_url: DatabaseUrl
    database_tls: DatabaseTlsSettings = DatabaseTlsSettings()
    passivate_after_s: Annotated[Seconds, _env("IOT_PASSIVATE_AFTER_S")] = 300.0
    handler_timeout_s: Annotated[float, Meta(gt=0, le=10), _env("IOT_HANDLER_TIMEOUT_S")] = 1.0
    retention_days: Annotated[int, Meta(ge=0, le=36_500), _env("IOT_HISTORY_RETENTION_DAYS")] = 0


class RayTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of the CA by which Ray's processes know each other; with them they speak TLS alone."""

    ca: Annotated[str | None, _env("IOT_RAY_TLS_CA")] = None
    ca_key: Annotated[str | None, _env("IOT_RAY_TLS_CA_KEY")] = None

    def __post_init__(self) -> None:
        if (self.ca is None) != (self.ca_key is None):
            raise InvalidSetting("IOT_RAY_TLS_CA and IOT_RAY_TLS_CA_KEY belong together: set both, or none")


class ActorSystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system actor-system`; ``machine`` names what it is lost with, such as the Kubernetes node."""

    shard: ShardSettings
    process: ProcessSettings = ProcessSettings()
    address: Annotated[str, _env("ACTOR_SYSTEM_ADDRESS")] = "127.0.0.1"
    machine: Annotated[str | None, _env("IOT_MACHINE")] = None
    port: Annotated[Port, _env("ACTOR_SYSTEM_PORT")] = 8000
    cluster_name: Annotated[str, _env("ACTOR_SYSTEM_CLUSTER_NAME")] = "iot-cluster"
    listen_host: Annotated[str, _env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    placement: Annotated[Literal["ray", "local"], _env("IOT_PLACEMENT")] = "ray"
    ray_address: Annotated[str | None, _env("IOT_RAY_ADDRESS", check=_check_ray)] = None
    ray_tls: RayTlsSettings = RayTlsSettings()
    shards_per_node: Annotated[int, Meta(ge=1, le=64), _env("IOT_SHARDS_PER_NODE")] = 1


class MigrateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system migrate`."""

    database_url: DatabaseUrl
    database_tls: DatabaseTlsSettings = DatabaseTlsSettings()
    roles: DatabaseRoleSettings = DatabaseRoleSettings()
    process: ProcessSettings = ProcessSettings()


class MakeStreamsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system streams`; ``broker`` has the administrator's name."""

    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    process: ProcessSettings = ProcessSettings()


class RayHeadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system ray-head`; ``ray_address`` is how nodes reach it, ``machine`` as in `ActorSystemSettings`."""

    process: ProcessSettings = ProcessSettings()
    address: Annotated[str, _env("ACTOR_SYSTEM_ADDRESS")] = "127.0.0.1"
    machine: Annotated[str | None, _env("IOT_MACHINE")] = None
    listen_host: Annotated[str, _env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    http_port: Annotated[Port, _env("IOT_HTTP_PORT")] = 8000
    storage: Annotated[str | None, _env("IOT_RAY_STORAGE")] = None
    ray_address: Annotated[str | None, _env("IOT_RAY_ADDRESS", check=_check_ray)] = None
    ray_tls: RayTlsSettings = RayTlsSettings()


_FOREIGN = frozenset({"IOT_CACHE", "IOT_CERTIFICATES", "IOT_SECRETS", "IOT_SECRETS_NAMESPACE", "IOT_TOKEN", "IOT_URL"})
"""Variables with our prefix that belong to commands, not to services."""
_ALL = (ApiSettings, ActorSystemSettings, MigrateSettings, MakeStreamsSettings, RayHeadSettings)


def read_settings(kind: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Read settings of ``kind`` from ``environ`` (the process's own by default).

    Raises `InvalidSetting` for a value that breaks its limits, for one that is missing, and for a variable with the
    prefix ``IOT_`` that no service knows: a misspelt setting must not be ignored.
    """
    environ = os.environ if environ is None else environ
    known = {name for settings in _ALL for name in _variables(settings)} | _FOREIGN
    if unknown := sorted(name for name in environ if name.startswith("IOT_") and name not in known):
        raise InvalidSetting(f"{unknown[0]} is not a setting; known are {', '.join(sorted(known - _FOREIGN))}")
    return _build(kind, environ)


def _fields(kind: type[msgspec.Struct]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Field → its type and what `_env` says of it (nothing: a group of further fields)."""
    fields: dict[str, tuple[Any, dict[str, Any]]] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        metas = (meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, Meta))
        fields[name] = (hint, next((meta.extra for meta in metas if meta.extra), {}))
    return fields


def _variables(kind: type[msgspec.Struct]) -> set[str]:
    found: set[str] = set()
    for hint, env in _fields(kind).values():
        found |= {env["env"]} if env else _variables(hint)
    return found


def _build(kind: type[T], environ: Mapping[str, str]) -> T:
    values: dict[str, Any] = {}
    for name, (hint, env) in _fields(kind).items():
        if not env:
            values[name] = _build(hint, environ)
        elif text := environ.get(env["env"]):
            if env["check"]:
                env["check"](text)
            values[name] = _convert(env["env"], text, hint)
        elif env["missing"]:
            raise InvalidSetting(f"{env['env']} is not set; {env['missing']}")
    return kind(**values)


def _convert(variable: str, text: str, hint: Any) -> Any:
    choices = getattr(getattr(hint, "__origin__", hint), "__args__", ())
    if choices and not any(isinstance(one, type) for one in choices):  # a Literal
        for choice in choices:
            if str(choice) == text:
                return choice
        raise InvalidSetting(f"{variable} is {text!r}; it is one of {', '.join(map(str, choices))}")
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidSetting(f"{variable} is {text!r}: {error}") from error
