"""Settings: every variable is read, every mistake stops the start with one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from iot_system.__main__ import main
from iot_system.errors import InvalidSetting
from iot_system.settings import ActorSystemSettings, ApiSettings, RayHeadSettings, read_settings

MEMORY = {"DATABASE_URL": "sqlite:///:memory:"}


def refusal(**environ: str) -> str:
    with pytest.raises(InvalidSetting) as error:
        read_settings(ActorSystemSettings, MEMORY | environ)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_documented_defaults_hold() -> None:
    api = read_settings(ApiSettings, {})
    assert (api.broker.urls, api.broker.user, api.broker.password) == ("nats://127.0.0.1:4222", None, None)
    assert (api.listen.host, api.listen.http_port, api.listen.mqtt_port) == ("0.0.0.0", 8000, 1883)
    assert (api.stream.partitions, api.stream.replicas, api.stream.max_bytes) == (64, 1, 1_073_741_824)
    assert (api.process.log_level, api.process.drain_timeout_s, api.admin_token) == ("info", 20.0, None)
    actors = read_settings(ActorSystemSettings, MEMORY)
    assert (actors.shard.passivate_after_s, actors.shard.retention_days) == (300.0, 0)
    assert actors.shard.handler_timeout_s == 1.0
    assert (actors.address, actors.port, actors.cluster_name) == ("127.0.0.1", 8000, "iot-cluster")
    assert (actors.placement, actors.ray_address, actors.shards_per_node) == ("ray", None, 1)


def test_every_variable_reaches_its_field() -> None:
    actors = read_settings(
        ActorSystemSettings,
        {
            "NATS_URL": "nats://a:1,nats://b:2",
            "NATS_USER": "user",
            "NATS_PASSWORD": "12345",  # text, although it looks like a number
            "DATABASE_URL": "postgresql://u:p@h/d",
            "ACTOR_SYSTEM_ADDRESS": "10.0.0.7",
            "IOT_MACHINE": "node-7",
            "ACTOR_SYSTEM_PORT": "8001",
            "ACTOR_SYSTEM_CLUSTER_NAME": "other",
            "IOT_LISTEN_HOST": "127.0.0.1",
            "IOT_PARTITIONS": "128",
            "IOT_STREAM_REPLICAS": "3",
            "IOT_STREAM_MAX_BYTES": "1048576",
            "IOT_RAY_ADDRESS": "ray-head:6379",
            "IOT_SHARDS_PER_NODE": "2",
            "IOT_PASSIVATE_AFTER_S": "1.5",
            "IOT_HANDLER_TIMEOUT_S": "0.25",
            "IOT_HISTORY_RETENTION_DAYS": "30",
            "IOT_PLACEMENT": "local",
            "IOT_DRAIN_TIMEOUT_S": "5",
            "IOT_LOG_LEVEL": "debug",
            "PATH": "/bin",
        },
    )
    broker, stream, shard = actors.shard.broker, actors.shard.stream, actors.shard
    assert (broker.urls, broker.user, broker.password) == ("nats://a:1,nats://b:2", "user", "12345")
    assert (stream.partitions, stream.replicas, stream.max_bytes) == (128, 3, 1_048_576)
    assert (shard.database_url, shard.passivate_after_s, shard.retention_days) == ("postgresql://u:p@h/d", 1.5, 30)
    assert shard.handler_timeout_s == 0.25
    assert (actors.process.log_level, actors.process.drain_timeout_s) == ("debug", 5.0)
    assert (actors.address, actors.port, actors.cluster_name) == ("10.0.0.7", 8001, "other")
    assert (actors.listen_host, actors.placement) == ("127.0.0.1", "local")
    assert (actors.ray_address, actors.shards_per_node, actors.machine) == ("ray-head:6379", 2, "node-7")


def test_the_api_and_the_head_read_theirs() -> None:
    environ = {"IOT_HTTP_PORT": "0", "IOT_MQTT_PORT": "1", "IOT_ADMIN_TOKEN": "secret", "IOT_RAY_STORAGE": "/data"}
    api = read_settings(ApiSettings, environ)
    assert (api.listen.http_port, api.listen.mqtt_port, api.admin_token) == (0, 1, "secret")
    assert read_settings(RayHeadSettings, environ).storage == "/data"


def test_an_identity_provider_is_named_whole() -> None:
    environ = {"IOT_JWT_ISSUER": "https://id.example.org", "IOT_JWT_AUDIENCE": "iot", "IOT_JWT_JWKS": "/keys/jwks.json"}
    jwt = read_settings(ApiSettings, environ | {"IOT_JWT_ROLE_CLAIM": "role", "IOT_JWT_SCOPE_CLAIM": "rooms"}).jwt
    assert (jwt.issuer, jwt.audience, jwt.jwks) == tuple(environ.values())
    assert (jwt.role_claim, jwt.scope_claim) == ("role", "rooms")
    default = read_settings(ApiSettings, {}).jwt
    assert (default.issuer, default.role_claim, default.scope_claim) == (None, "iot_role", "iot_scopes")


@pytest.mark.parametrize("missing", ["IOT_JWT_ISSUER", "IOT_JWT_AUDIENCE", "IOT_JWT_JWKS"])
def test_a_part_of_an_identity_provider_is_refused(missing: str) -> None:
    environ = dict.fromkeys(("IOT_JWT_ISSUER", "IOT_JWT_AUDIENCE", "IOT_JWT_JWKS"), "https://id.example.org")
    del environ[missing]
    with pytest.raises(InvalidSetting, match="belong together"):
        read_settings(ApiSettings, environ)


@pytest.mark.parametrize("jwks", ["ftp://host/jwks", "https://", "https://user:secret@host/jwks"])
def test_keys_come_from_a_file_or_by_http(jwks: str) -> None:
    environ = dict.fromkeys(("IOT_JWT_ISSUER", "IOT_JWT_AUDIENCE"), "x") | {"IOT_JWT_JWKS": jwks}
    with pytest.raises(InvalidSetting, match="IOT_JWT_JWKS") as refused:
        read_settings(ApiSettings, environ)
    assert "secret" not in str(refused.value)


PAIR = {"CERTIFICATE": "/tls/tls.crt", "KEY": "/tls/tls.key"}


def with_prefix(prefix: str, **more: str) -> dict[str, str]:
    return {f"{prefix}_{name}": value for name, value in (PAIR | more).items()}


def test_tls_of_each_connection_is_read() -> None:
    api = read_settings(
        ApiSettings,
        {"NATS_URL": "tls://a:1", "IOT_DEVICE_CA": "/ca", "IOT_DEVICE_CERTIFICATES_REVOKED": "/revoked"}
        | with_prefix("NATS_TLS", CA="/ca")
        | with_prefix("IOT_HTTP_TLS", CLIENT_CERTIFICATES="optional")
        | with_prefix("IOT_MQTT_TLS", CLIENT_CERTIFICATES="required", PORT="8884")
        | {"IOT_MQTT_PLAIN": "off"},
    )
    assert (api.broker.tls.ca, api.broker.tls.certificate, api.broker.tls.key) == ("/ca", *PAIR.values())
    assert (api.http_tls.certificate, api.http_tls.key, api.http_tls.client_certificates) == (
        *PAIR.values(),
        "optional",
    )
    assert (api.mqtt_tls.certificate, api.mqtt_tls.key, api.mqtt_tls.client_certificates) == (
        *PAIR.values(),
        "required",
    )
    assert (api.mqtt_tls.port, api.mqtt_tls.plain) == (8884, "off")
    assert (api.devices.ca, api.devices.revoked) == ("/ca", "/revoked")
    actors = read_settings(ActorSystemSettings, MEMORY | with_prefix("DATABASE_TLS", CA="/ca"))
    tls = actors.shard.database_tls
    assert (tls.ca, tls.certificate, tls.key) == ("/ca", *PAIR.values())


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"NATS_URL": "tls://a:1", "NATS_TLS_KEY": "/k"},
            "NATS_TLS_CERTIFICATE and NATS_TLS_KEY belong together: set both, or none",
        ),
        (
            {"NATS_PASSWORD": "p", "NATS_PASSWORD_FILE": "/p"},
            "NATS_PASSWORD and NATS_PASSWORD_FILE are both set: give one of them",
        ),
        (
            {"IOT_ADMIN_TOKEN": "t", "IOT_ADMIN_TOKEN_FILE": "/t"},
            "IOT_ADMIN_TOKEN and IOT_ADMIN_TOKEN_FILE are both set: give one of them",
        ),
        (
            {"NATS_TLS_CA": "/ca"},
            "NATS_TLS_… is set, and NATS_URL is 'nats://127.0.0.1:4222': encrypted servers are tls://…",
        ),
        (
            {"NATS_URL": "nats://a:1,tls://b:1"},
            "NATS_URL is 'nats://a:1,tls://b:1'; all of its servers are nats://, or all are tls://",
        ),
        (
            {"IOT_MQTT_TLS_CLIENT_CERTIFICATES": "required"},
            "IOT_MQTT_TLS_CLIENT_CERTIFICATES is 'required' without IOT_MQTT_TLS_CERTIFICATE: only TLS carries them",
        ),
        (
            with_prefix("IOT_HTTP_TLS", CLIENT_CERTIFICATES="optional"),
            "client certificates are asked for, and IOT_DEVICE_CA does not say who signs them",
        ),
        (
            {"IOT_MQTT_PLAIN": "off"},
            "IOT_MQTT_PLAIN is off without IOT_MQTT_TLS_CERTIFICATE: nobody could speak MQTT",
        ),
    ],
)
def test_half_of_tls_stops_the_start(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read_settings(ApiSettings, environ)
    assert str(refused.value) == sentence


def test_a_certificate_for_the_database_needs_its_ca() -> None:
    assert refusal(**with_prefix("DATABASE_TLS")).startswith("DATABASE_TLS_CERTIFICATE needs DATABASE_TLS_CA")


def test_the_process_s_own_environment_is_the_default() -> None:
    with mock.patch.dict(os.environ, {"IOT_HTTP_PORT": "1234"}):
        assert read_settings(ApiSettings).listen.http_port == 1234


def test_an_empty_variable_is_the_default() -> None:
    """Charts and shells pass what is not set as an empty text."""
    assert read_settings(ApiSettings, {"IOT_HTTP_PORT": "", "IOT_ADMIN_TOKEN": ""}) == ApiSettings()


def test_a_broker_may_have_names_addresses_and_tls() -> None:
    urls = "tls://nats-0.nats-headless:4222,tls://10.0.0.7:4223,tls://[::1]:4224"
    assert read_settings(ApiSettings, {"NATS_URL": urls}).broker.urls == urls


@pytest.mark.parametrize("subcommand", ["actor-system", "migrate"])
def test_a_database_that_is_not_named_stops_the_start_and_nothing_is_left(subcommand: str, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "iot_system", subcommand]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"iot-system {subcommand}: DATABASE_URL is not set; ")
    assert list(tmp_path.iterdir()) == []


def test_memory_has_nothing_to_migrate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///:memory:")
    assert main(["migrate"]) == 0
    assert "nothing to migrate" in capsys.readouterr().out


def test_a_misspelt_setting_is_refused_with_its_name() -> None:
    sentence = refusal(IOT_PARTITION="64")
    assert sentence.startswith("IOT_PARTITION is not a setting; known are ")
    assert "IOT_PARTITIONS" in sentence


def test_settings_of_other_services_are_known_to_all() -> None:
    assert read_settings(ApiSettings, {"IOT_RAY_STORAGE": "/data", "IOT_SHARDS_PER_NODE": "7"}) == ApiSettings()


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("ACTOR_SYSTEM_PORT", "http", "ACTOR_SYSTEM_PORT is 'http': Expected `int`, got `str`"),
        ("ACTOR_SYSTEM_PORT", "65536", "ACTOR_SYSTEM_PORT is '65536': Expected `int` <= 65535"),
        ("ACTOR_SYSTEM_PORT", "-1", "ACTOR_SYSTEM_PORT is '-1': Expected `int` >= 0"),
        ("IOT_PARTITIONS", "0", "IOT_PARTITIONS is '0': Expected `int` >= 1"),
        ("IOT_PARTITIONS", "4097", "IOT_PARTITIONS is '4097': Expected `int` <= 4096"),
        ("IOT_PARTITIONS", "1.5", "IOT_PARTITIONS is '1.5': Expected `int`, got `str`"),
        ("IOT_STREAM_REPLICAS", "2", "IOT_STREAM_REPLICAS is '2'; it is one of 1, 3, 5"),
        ("IOT_STREAM_MAX_BYTES", "10", "IOT_STREAM_MAX_BYTES is '10': Expected `int` >= 1048576"),
        ("IOT_PASSIVATE_AFTER_S", "0", "IOT_PASSIVATE_AFTER_S is '0': Expected `float` > 0.0"),
        ("IOT_PASSIVATE_AFTER_S", "nan", "IOT_PASSIVATE_AFTER_S is 'nan': Expected `float` > 0.0"),
        ("IOT_DRAIN_TIMEOUT_S", "inf", "IOT_DRAIN_TIMEOUT_S is 'inf': Expected `float` <= 86400.0"),
        ("IOT_HISTORY_RETENTION_DAYS", "-1", "IOT_HISTORY_RETENTION_DAYS is '-1': Expected `int` >= 0"),
        ("NATS_URL", ",", "NATS_URL is ','; it is nats://HOST:PORT or tls://HOST:PORT, several by commas"),
        (
            "NATS_URL",
            "nats://h:port",
            "NATS_URL is 'nats://h:port'; it is nats://HOST:PORT or tls://HOST:PORT, several by commas",
        ),
        (
            "NATS_URL",
            "http://h:80",
            "NATS_URL is 'http://h:80'; it is nats://HOST:PORT or tls://HOST:PORT, several by commas",
        ),
        (
            "NATS_URL",
            "nats://h",
            "NATS_URL is 'nats://h'; it is nats://HOST:PORT or tls://HOST:PORT, several by commas",
        ),
        (
            "NATS_URL",
            "nats://h:0",
            "NATS_URL is 'nats://h:0'; it is nats://HOST:PORT or tls://HOST:PORT, several by commas",
        ),
        (
            "NATS_URL",
            "nats://u:pw@h:1",
            "NATS_URL bears a user or a password; they belong into NATS_USER and NATS_PASSWORD",
        ),
        ("IOT_RAY_ADDRESS", "ray-head", "IOT_RAY_ADDRESS is 'ray-head'; it is HOST:PORT"),
        ("IOT_RAY_ADDRESS", "ray-head:x", "IOT_RAY_ADDRESS is 'ray-head:x'; it is HOST:PORT"),
        (
            "DATABASE_URL",
            "",
            "DATABASE_URL is not set; give postgresql://…, sqlite:///FILE, or sqlite:///:memory: to keep nothing",
        ),
        ("IOT_PLACEMENT", "moon", "IOT_PLACEMENT is 'moon'; it is one of ray, local"),
        ("IOT_LOG_LEVEL", "INFO", "IOT_LOG_LEVEL is 'INFO'; it is one of debug, info, warning, error"),
    ],
)
def test_a_bad_value_is_refused_with_variable_limit_and_value(variable: str, text: str, sentence: str) -> None:
    assert refusal(**{variable: text}) == sentence
