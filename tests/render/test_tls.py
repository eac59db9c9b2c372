"""Encrypted connections: who shows which certificate, who trusts whom, and that nothing plain is left."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from chart_harness.manifests import Container
from iot_system.settings import ActorSystemSettings, ApiSettings, read_settings

from tests.render.rendered import (
    DEVELOPMENT,
    DEVICE_CERTIFICATES,
    PLAIN,
    PRODUCTION,
    TESTING,
    Installation,
)
from tests.render.test_settings import environment

FOLDER = "/etc/iot-system/tls"
OWN = {
    "api": "api-tls",
    "actor-system": "actor-system-tls",
    "migrate": "actor-system-tls",
    "streams": "nats-tls",
    "nats": "nats-tls",
    "postgres": "postgres-tls",
    "backup": "postgres-tls",
}
"""Whose key a pod may have."""
TRUSTING = {"sample", "check"}
"""Jobs that trust the API, and have nothing to show."""


def mounted(container: Container) -> dict[str, Any]:
    """The secret in `FOLDER`, or nothing."""
    mounts = {mount["mountPath"]: mount for mount in container.spec["volumeMounts"]}
    if FOLDER not in mounts:
        return {}
    assert mounts[FOLDER]["readOnly"] is True
    secret: dict[str, Any] = container.workload.volumes[mounts[FOLDER]["name"]]["secret"]
    return secret


def test_each_pod_has_its_own_certificate_and_no_other_key(installation: Installation) -> None:
    for container in installation.containers:
        name, secret = container.spec["name"], mounted(container)
        if installation.name in PLAIN and name == "nats":
            assert (secret["secretName"], secret["optional"]) == ("nats-tls", True)  # for when it is told to encrypt
        elif installation.name in PLAIN or (installation.name, name) == ("external", "streams"):
            assert secret == {}  # servers outside are shown a password alone
        elif name in OWN:
            assert secret["secretName"].removeprefix("site-a-").removeprefix("my-") == OWN[name]
            assert "items" not in secret
            assert "optional" not in secret
            assert secret["defaultMode"] == 0o440  # Postgres takes no key that others can read
        elif name in TRUSTING:
            assert secret["secretName"].removeprefix("site-a-").removeprefix("my-") == "api-tls"
            assert [one["key"] for one in secret["items"]] == ["ca.crt"]
            assert container.env["SSL_CERT_FILE"]["value"] == f"{FOLDER}/ca.crt"


def test_given_secrets_take_the_place_of_those_that_are_made() -> None:
    given = {name: f"my-{name}" for name in ("api", "actor-system", "nats", "postgres", "ray")}
    installation = Installation("given", (PRODUCTION,), {"global.tls": {"mode": "existing", "existing": given}})
    for name in ("api", "actor-system", "nats", "postgres"):
        assert mounted(installation.container(name))["secretName"] == f"my-{name}"


def test_every_client_says_nothing_to_a_server_that_it_cannot_verify() -> None:
    installation = Installation("testing", (TESTING,))
    actors = read_settings(ActorSystemSettings, environment(installation, installation.container("actor-system")))
    migrate = read_settings(ActorSystemSettings, environment(installation, installation.container("migrate")))
    api = read_settings(ApiSettings, environment(installation, installation.container("api")))
    for broker in (api.broker, actors.shard.broker):
        assert broker.is_encrypted
        tls = broker.tls
        assert (tls.ca, tls.certificate, tls.key) == tuple(
            f"{FOLDER}/{one}" for one in ("ca.crt", "tls.crt", "tls.key")
        )
    for database in (actors.shard.database_tls, migrate.shard.database_tls):
        assert (database.ca, database.certificate) == (f"{FOLDER}/ca.crt", f"{FOLDER}/tls.crt")
    for job in TRUSTING:
        addresses = [one for one in installation.container(job).spec["args"] if "api-service" in one]
        assert addresses
        assert all(one.startswith(("https://", "mqtts://")) for one in addresses), job


def test_a_database_elsewhere_is_trusted_as_its_url_says_and_not_by_our_ca() -> None:
    database = {"mode": "external", "existingSecret": "my-database"}
    installation = Installation("external", (PRODUCTION,), {"global.database": database})
    for name in ("actor-system", "migrate"):
        assert not any(one.startswith("DATABASE_TLS") for one in installation.container(name).env)
    assert "NATS_TLS_CA" in installation.container("actor-system").env


@pytest.mark.parametrize(("replicas", "listeners"), [(1, 1), (3, 2)], ids=["one server", "several"])
def test_nats_lets_nobody_in_without_a_certificate_at_any_port_of_data(replicas: int, listeners: int) -> None:
    sets = {"nats.replicas": replicas, "global.stream.replicas": replicas}
    config = Installation("nats", (TESTING,), sets).one("ConfigMap", "nats-config")["data"]["nats.conf"]
    assert len(re.findall(r"^ *tls {$", config, re.MULTILINE)) == config.count("verify: true") == listeners


@pytest.mark.parametrize("values", [TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_postgres_lets_nobody_in_by_the_network_without_tls_certificate_and_password(values: Any) -> None:
    config = Installation("postgres", (values,)).one("ConfigMap", "postgres-config")["data"]
    rules = [line.split() for line in config["pg_hba.conf"].splitlines() if line and not line.startswith("#")]
    network = [rule for rule in rules if rule[0] != "local"]
    assert network
    assert network.pop(0) == ["hostssl", "iot", "iot_reader", "all", "scram-sha-256"]
    assert all((rule[0], *rule[4:]) == ("hostssl", "scram-sha-256", "clientcert=verify-ca") for rule in network)
    assert "ssl = on" in config["postgresql.conf"]


def test_postgres_servers_trust_each_other_by_certificate() -> None:
    installation = Installation("replicated", (PRODUCTION,))
    patroni = yaml.safe_load(installation.one("ConfigMap", "postgres-config")["data"]["patroni.yml"])
    assert patroni["restapi"]["verify_client"] == "optional"  # of all that change something
    # Patroni's `insecure` beside a certfile leaves out the name alone, never the CA.
    assert patroni["ctl"].keys() >= {"cacert", "certfile", "keyfile"}
    env = installation.container("postgres").env
    for user in ("SUPERUSER", "REPLICATION"):
        assert env[f"PATRONI_{user}_SSLMODE"]["value"] == "verify-ca"
        assert env[f"PATRONI_{user}_SSLROOTCERT"]["value"] == f"{FOLDER}/ca.crt"
        assert env[f"PATRONI_{user}_SSLCERT"]["value"] == f"{FOLDER}/tls.crt"


def test_servers_show_the_names_under_which_they_are_asked(installation: Installation) -> None:
    jobs = [one for one in installation.containers if "IOT_CERTIFICATES" in one.env]
    if not jobs or installation.name == "external":  # whose servers are somebody else's
        return
    signed = json.loads(jobs[0].env["IOT_CERTIFICATES"]["value"])["signed"]
    hosts = {one["name"]: set(one["hosts"]) for one in signed.values()}
    asked: dict[str, set[str]] = {"nats": set(), "postgres": set(), "api": set()}
    for secret in installation.made_secrets.values():
        for value in secret.values():
            if isinstance(value, str) and value.startswith("postgresql://"):
                asked["postgres"] |= {one.partition(":")[0] for one in urlsplit(value).netloc.split("@")[1].split(",")}
    for container in installation.containers:
        for variable in environment(installation, container).values():
            asked["nats"] |= set(re.findall(r"(?:@|tls://)([a-z0-9.-]*nats-[a-z0-9.-]+):", variable))
        commands = " ".join(container.spec.get("command", []))
        asked["nats"] |= set(re.findall(r"[a-z0-9.-]*nats-\d+\.[a-z0-9.-]*[a-z0-9]", commands))
        if container.spec["name"] in TRUSTING:
            asked["api"] |= set(re.findall(r"://([^:]+):", " ".join(container.spec["args"])))
    assert asked["nats"]
    assert {
        name: names - hosts.get(name, set()) for name, names in asked.items() if names - hosts.get(name, set())
    } == {}


def test_probes_speak_what_their_ports_speak(installation: Installation) -> None:
    for container in installation.containers:
        encrypted = installation.name not in PLAIN and (container.spec["name"] == "api" or "patroni" in container.ports)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.spec.get(probe, {}).get("httpGet")
            if asked:
                assert (asked.get("scheme") == "HTTPS") is encrypted, (container, probe)


def test_servers_that_read_certificates_on_a_signal_only_get_it(installation: Installation) -> None:
    for container in installation.containers:
        if container.spec["name"] in ("nats", "postgres"):
            is_watched = "kill -HUP 1" in " ".join(container.spec.get("command", []))
            # NATS reads passwords from files, too.
            assert is_watched is (container.spec["name"] == "nats" or installation.name not in PLAIN), container


def test_mqtt_without_tls_is_served_where_it_is_asked_for() -> None:
    installation = Installation("both", (TESTING,), {"api.mqtt.plain": True})
    container = installation.container("api")
    assert {"mqtts": 8883, "mqtt": 1883}.items() <= container.ports.items()
    assert read_settings(ApiSettings, environment(installation, container)).mqtt_tls.plain == "on"
    alone = Installation("testing", (TESTING,))
    assert read_settings(ApiSettings, environment(alone, alone.container("api"))).mqtt_tls.plain == "off"


def test_certificates_of_devices_are_verified_by_the_ca_that_the_values_name() -> None:
    installation = Installation("devices", (PRODUCTION,), DEVICE_CERTIFICATES)
    container = installation.container("api")
    settings = read_settings(ApiSettings, environment(installation, container))
    assert settings.http_tls.client_certificates == settings.mqtt_tls.client_certificates == "required"
    assert settings.devices.ca == "/etc/iot-system/device-ca/ca.crt"
    assert settings.devices.revoked == "/etc/iot-system/revoked/serials"
    mounts = {mount["mountPath"]: mount["name"] for mount in container.spec["volumeMounts"]}
    secret = container.workload.volumes[mounts["/etc/iot-system/device-ca"]]["secret"]
    assert secret == {"secretName": "device-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    revoked = container.workload.volumes[mounts["/etc/iot-system/revoked"]]["configMap"]["name"]
    assert installation.one("ConfigMap", revoked)["data"] == {"serials": "0A:FF\n1b"}
    assert "check" not in {workload.name for workload in installation.workloads}, "it has no such certificate"


def test_a_revoked_certificate_restarts_nothing() -> None:
    more = DEVICE_CERTIFICATES["api.clientCertificates"] | {"revoked": ["0A"]}  # type: ignore[operator]
    pods = [
        Installation("devices", (PRODUCTION,), sets).workload("api").template
        for sets in (DEVICE_CERTIFICATES, DEVICE_CERTIFICATES | {"api.clientCertificates": more})
    ]
    assert pods[0] == pods[1]


@pytest.mark.parametrize("mode", ["off", False], ids=["text", "YAML's off"])
def test_without_tls_nothing_speaks_of_it(mode: object) -> None:
    installation = Installation("plain", (TESTING,), {"global.tls.mode": mode})
    assert {container.spec["name"] for container in installation.containers if mounted(container)} == {"nats"}
    api = read_settings(ApiSettings, environment(installation, installation.container("api")))
    assert api.broker.urls == "nats://nats-service:4222"
    assert (api.http_tls.certificate, api.mqtt_tls.certificate) == (None, None)
    assert "ssl" not in installation.one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    assert "tls" not in installation.one("ConfigMap", "nats-config")["data"]["nats.conf"]
    assert Installation("development", (DEVELOPMENT,)).container("api").ports == {"http": 8000, "mqtt": 1883}
