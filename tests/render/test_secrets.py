"""Secrets: made once by a job or given, never written down."""

from __future__ import annotations

from pathlib import Path

import pytest
from chart_harness.rules.secrets import plain_secrets

from tests.render.rendered import DEVELOPMENT, GIVEN_SECRETS, PRODUCTION, TESTING, Installation

GIVEN_KEYS = {
    "my-database": {"url", "owner-url", "reader-url", "username", "password", "replication-password"},
    "my-api": {"admin-token"},
    "my-nats": {"username", "password"},
    "my-nats-api": {"password"},
    "my-nats-actors": {"password"},
    "my-ray": {"token"},
}
ELSEWHERE = {
    "iot-database": {"url", "owner-url", "reader-url"},
    "iot-nats": {"username", "password"},
    "iot-nats-api": {"password"},
    "iot-nats-actor-system": {"password"},
    "backup-store": {"access-key", "secret-key", "passphrase"},
}
"""Of the other installations."""
MEMORY = "sqlite:///:memory:"


def test_no_secret_is_rendered(installation: Installation) -> None:
    assert installation.of_kind("Secret") == []


def test_every_secret_that_a_pod_uses_is_made_or_given(installation: Installation) -> None:
    given = GIVEN_KEYS | ELSEWHERE
    there = given | {name: set(keys) for name, keys in installation.made_secrets.items()}
    for container in installation.containers:
        for name, key, may_be_missing in container.secret_keys:
            assert key in there[name], (container, name)
            assert may_be_missing is (name in given and key in ("owner-url", "reader-url")), (container, name, key)


def test_no_password_or_token_stands_in_a_manifest(installation: Installation) -> None:
    """What the secrets job is told to make is no secret, and neither is a database that nobody asks for a password."""
    found = [one for one in plain_secrets(installation) if not one.endswith(": IOT_SECRETS stands in plain text")]
    assert found == []
    for container in installation.containers:
        assert "value" not in container.env.get("DATABASE_URL", {}), container
    for config in installation.of_kind("ConfigMap"):
        assert config["data"].get("DATABASE_URL", MEMORY) == MEMORY, config["metadata"]["name"]


def test_passwords_and_tokens_are_generated_long_enough(installation: Installation) -> None:
    for name, keys in installation.made_secrets.items():
        for key, value in keys.items():
            if key.endswith(("password", "token")):
                assert value["generate"] >= 32, (name, key)
            else:
                assert isinstance(value, str), (name, key)


def test_each_url_of_the_database_is_put_together_with_a_password_of_its_own() -> None:
    single = Installation("single", (TESTING,), {"global.database.mode": "single"})
    secret = single.made_secrets["database-credentials"]
    for key, role in {"url": "runtime", "owner-url": "owner", "reader-url": "reader"}.items():
        assert secret[key] == f"postgresql://iot_{role}:{{{role}-password}}@database-service:5432/iot"


@pytest.mark.parametrize("values", [TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_only_who_migrates_has_the_owner_and_only_the_server_and_who_migrates_its_administrator(values: Path) -> None:
    holders: dict[str, set[str]] = {}
    for container in Installation("own", (values,)).containers:
        for name, key, _ in container.secret_keys:
            if name == "database-credentials":
                holders.setdefault(key, set()).add(container.spec["name"])
    assert holders.pop("replication-password", {"postgres"}) == {"postgres"}
    assert holders == {
        "url": {"actor-system", "migrate"},
        "owner-url": {"migrate"},
        "reader-url": {"migrate"},
        "username": {"postgres", "migrate"},
        "password": {"postgres", "migrate"},
    }


@pytest.mark.parametrize("values", [TESTING, PRODUCTION, DEVELOPMENT], ids=lambda path: path.stem)
def test_only_the_servers_and_who_makes_streams_have_the_administrator_of_nats(values: Path) -> None:
    holders = {
        container.spec["name"]
        for container in Installation("own", (values,)).containers
        for name, _, _ in container.secret_keys
        if name == "nats-credentials"
    }
    assert holders == {"nats", "streams"}


def test_an_external_database_may_have_an_owner_and_a_reader_and_never_an_administrator() -> None:
    sets = {"global.database": {"mode": "external", "existingSecret": "mine"}}
    env = Installation("external", (TESTING,), sets).container("migrate").env
    references = {name: one["valueFrom"]["secretKeyRef"] for name, one in env.items() if "valueFrom" in one}
    assert references == {
        "DATABASE_URL": {"name": "mine", "key": "url"},
        "DATABASE_OWNER_URL": {"name": "mine", "key": "owner-url", "optional": True},
        "DATABASE_READER_URL": {"name": "mine", "key": "reader-url", "optional": True},
    }


def test_what_is_given_is_not_made() -> None:
    installation = Installation("given", (TESTING,), GIVEN_SECRETS)
    assert installation.made_secrets == {}
    names = {manifest["metadata"]["name"] for manifest in installation.manifests}
    assert names.isdisjoint({"secrets", "secrets-renewal"})
    used = {name for container in installation.containers for name, _, _ in container.secret_keys}
    assert used == set(GIVEN_KEYS)


def test_a_database_in_memory_needs_no_secret() -> None:
    installation = Installation("development", (DEVELOPMENT,))
    assert "database-credentials" not in installation.made_secrets
    assert "DATABASE_URL" not in installation.container("actor-system").env
    assert installation.one("ConfigMap", "actor-system-config")["data"]["DATABASE_URL"] == MEMORY
