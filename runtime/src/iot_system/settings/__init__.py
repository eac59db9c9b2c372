"""Settings: read once, from the environment, at start. A bad one stops the start with one sentence."""

from iot_system.settings.broker import BrokerSettings, BrokerTlsSettings, StreamSettings
from iot_system.settings.database import DatabaseRoleSettings, DatabaseTlsSettings
from iot_system.settings.programs import (
    ActorSystemSettings,
    ApiSettings,
    LogLevel,
    MakeStreamsSettings,
    MigrateSettings,
    ProcessSettings,
    RayHeadSettings,
    ShardSettings,
)
from iot_system.settings.reading import read_settings
from iot_system.settings.serving import (
    ClientCertificates,
    DeviceCertificateSettings,
    HttpTlsSettings,
    JwtSettings,
    ListenSettings,
    MqttTlsSettings,
)

__all__ = [
    "ActorSystemSettings",
    "ApiSettings",
    "BrokerSettings",
    "BrokerTlsSettings",
    "ClientCertificates",
    "DatabaseRoleSettings",
    "DatabaseTlsSettings",
    "DeviceCertificateSettings",
    "HttpTlsSettings",
    "JwtSettings",
    "ListenSettings",
    "LogLevel",
    "MakeStreamsSettings",
    "MigrateSettings",
    "MqttTlsSettings",
    "ProcessSettings",
    "RayHeadSettings",
    "ShardSettings",
    "StreamSettings",
    "read_settings",
]
