"""Secrets: made once by a job or given, never written down."""

from __future__ import annotations

import json
import re

from tests.render.rendered import DEVELOPMENT, GIVEN_SECRETS, TESTING, Installation

GIVEN_KEYS = {
    "my-database": {"url", "username", "password", "replication-password"},
    "my-api": {"admin-token"},
    "my-nats": {"username", "password"},
    "my-nats-api": {"password"},
    "my-nats-actors": {"password"},
    "my-ray": {"token"},
}


def test_no_secret_is_rendered(installation: Installation) -> None:
    assert installation.of_kind("Secret") == []


def test_every_secret_that_a_pod_uses_is_made_or_given(installation: Installation) -> None:
    there = GIVEN_KEYS | {name: set(keys) for name, keys in installation.made_secrets.items()}
    for container in installation.containers:
        for variable in container.env.values():
            source = variable.get("valueFrom", {}).get("secretKeyRef")
            if source:
                assert source["key"] in there[source["name"]], (container, variable)
                assert not source.get("optional"), (container, variable)


def test_no_password_or_token_stands_in_a_manifest(installation: Installation) -> None:
    secret = re.compile(r"PASSWORD|TOKEN|SECRET|CREDENTIAL|DATABASE_URL")
    expanded = re.compile(r'"?\$\([A-Z_]+\)"?')
    harmless = {"IOT_SECRETS", "IOT_SECRETS_NAMESPACE"}
    for container in installation.containers:
        for name, variable in container.env.items():
            if secret.search(name) and name not in harmless:
                written = variable.get("value")
                assert written is None or expanded.fullmatch(written), (container, name)
    for config in installation.of_kind("ConfigMap"):
        for name, value in config["data"].items():
            assert not secret.search(name) or value == "sqlite:///:memory:", name


def test_passwords_and_tokens_are_generated_long_enough(installation: Installation) -> None:
    for name, keys in installation.made_secrets.items():
        for key, value in keys.items():
            if key in ("password", "replication-password", "token", "admin-token"):
                assert value["generate"] >= 32, (name, key)
            else:
                assert isinstance(value, str), (name, key)


def test_the_database_url_is_put_together_from_keys_of_the_same_secret() -> None:
    single = Installation("single", (TESTING,), {"global.database.mode": "single"})
    secret = single.made_secrets["database-credentials"]
    assert set(re.findall(r"{([a-z]+)}", secret["url"])) == {"username", "password"}
    assert secret["url"] == "postgresql://{username}:{password}@database-service:5432/iot"


def test_what_is_given_is_not_made() -> None:
    installation = Installation("given", (TESTING,), GIVEN_SECRETS)
    assert installation.made_secrets == {}
    names = {manifest["metadata"]["name"] for manifest in installation.manifests}
    assert "secrets" not in names
    used = set(
        re.findall(
            r'"secretKeyRef": {"key": "[a-z-]+", "name": "([a-z-]+)"}',
            json.dumps(installation.manifests, sort_keys=True),
        )
    )
    assert used == set(GIVEN_KEYS)


def test_a_database_in_memory_needs_no_secret() -> None:
    installation = Installation("development", (DEVELOPMENT,))
    assert "database-credentials" not in installation.made_secrets
    assert "DATABASE_URL" not in installation.container("actor-system").env
    assert installation.one("ConfigMap", "actor-system-config")["data"]["DATABASE_URL"] == "sqlite:///:memory:"
