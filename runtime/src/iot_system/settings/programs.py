"""The programs of the system, and what each of them reads."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from iot_system.errors import InvalidSetting
from iot_system.settings.broker import BrokerSettings, StreamSettings
from iot_system.settings.checks import check_secret, is_address
from iot_system.settings.database import DatabaseRoleSettings, DatabaseTlsSettings, DatabaseUrl
from iot_system.settings.environment import env
from iot_system.settings.serving import (
    DeviceCertificateSettings,
    HttpTlsSettings,
    JwtSettings,
    ListenSettings,
    MqttTlsSettings,
    Port,
)

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
LogLevel = Literal["debug", "info", "warning", "error"]


def _check_ray(text: str) -> None:
    if not is_address(text):
        raise InvalidSetting(f"IOT_RAY_ADDRESS is {text!r}; it is HOST:PORT")


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What all processes have in common."""

    log_level: Annotated[LogLevel, env("IOT_LOG_LEVEL")] = "info"
    drain_timeout_s: Annotated[Seconds, env("IOT_DRAIN_TIMEOUT_S")] = 20.0

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
    admin_token: Annotated[str | None, env("IOT_ADMIN_TOKEN")] = None
    admin_token_file: Annotated[str | None, env("IOT_ADMIN_TOKEN_FILE")] = None
    jwt: JwtSettings = JwtSettings()

    def __post_init__(self) -> None:
        check_secret("IOT_ADMIN_TOKEN", self.admin_token, self.admin_token_file)
        wanted = {self.http_tls.client_certificates, self.mqtt_tls.client_certificates} != {"off"}
        if wanted and self.devices.ca is None:
            raise InvalidSetting("client certificates are asked for, and IOT_DEVICE_CA does not say who signs them")


class ShardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a shard process needs. Memory that ends with it must be asked for by name."""

    broker: BrokerSettings = BrokerSettings()
    stream: StreamSettings = StreamSettings()
    database_url: DatabaseUrl
    database_tls: DatabaseTlsSettings = DatabaseTlsSettings()
    passivate_after_s: Annotated[Seconds, env("IOT_PASSIVATE_AFTER_S")] = 300.0
    handler_timeout_s: Annotated[float, Meta(gt=0, le=10), env("IOT_HANDLER_TIMEOUT_S")] = 1.0
    retention_days: Annotated[int, Meta(ge=0, le=36_500), env("IOT_HISTORY_RETENTION_DAYS")] = 0


class RayTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of the CA by which Ray's processes know each other; with them they speak TLS alone."""

    ca: Annotated[str | None, env("IOT_RAY_TLS_CA")] = None
    ca_key: Annotated[str | None, env("IOT_RAY_TLS_CA_KEY")] = None

    def __post_init__(self) -> None:
        if (self.ca is None) != (self.ca_key is None):
            raise InvalidSetting("IOT_RAY_TLS_CA and IOT_RAY_TLS_CA_KEY belong together: set both, or none")


class ActorSystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`iot-system actor-system`; ``machine`` names what it is lost with, such as the Kubernetes node."""

    shard: ShardSettings
    process: ProcessSettings = ProcessSettings()
    address: Annotated[str, env("ACTOR_SYSTEM_ADDRESS")] = "127.0.0.1"
    machine: Annotated[str | None, env("IOT_MACHINE")] = None
    port: Annotated[Port, env("ACTOR_SYSTEM_PORT")] = 8000
    cluster_name: Annotated[str, env("ACTOR_SYSTEM_CLUSTER_NAME")] = "iot-cluster"
    listen_host: Annotated[str, env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    placement: Annotated[Literal["ray", "local"], env("IOT_PLACEMENT")] = "ray"
    ray_address: Annotated[str | None, env("IOT_RAY_ADDRESS", check=_check_ray)] = None
    ray_tls: RayTlsSettings = RayTlsSettings()
    shards_per_node: Annotated[int, Meta(ge=1, le=64), env("IOT_SHARDS_PER_NODE")] = 1


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
    address: Annotated[str, env("ACTOR_SYSTEM_ADDRESS")] = "127.0.0.1"
    machine: Annotated[str | None, env("IOT_MACHINE")] = None
    listen_host: Annotated[str, env("IOT_LISTEN_HOST")] = "0.0.0.0"  # noqa: S104 - a pod serves its whole network
    http_port: Annotated[Port, env("IOT_HTTP_PORT")] = 8000
    storage: Annotated[str | None, env("IOT_RAY_STORAGE")] = None
    ray_address: Annotated[str | None, env("IOT_RAY_ADDRESS", check=_check_ray)] = None
    ray_tls: RayTlsSettings = RayTlsSettings()
