"""Names: the contract, and the prefix."""

from __future__ import annotations

import pytest
from chart_harness.errors import HelmError

from tests.harness import helm
from tests.render.rendered import TESTING, Installation

CONTRACT = {
    "Deployment": {"api", "actor-system"},
    "StatefulSet": {"ray-head", "nats", "postgres"},
    "Service": {
        "api-service",
        "actor-system-service",
        "ray-head",
        "nats-service",
        "nats-headless",
        "database-service",
        "database-headless",
    },
    "HorizontalPodAutoscaler": {"api", "actor-system"},
    "ConfigMap": {"api-config", "actor-system-config", "nats-config", "postgres-config"},
}
SECRETS = {
    "database-credentials",
    "api-credentials",
    "nats-credentials",
    "nats-api-credentials",
    "nats-actor-system-credentials",
    "ray-credentials",
}


def names(installation: Installation, kind: str) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in installation.of_kind(kind)}


@pytest.mark.parametrize("kind", CONTRACT)
def test_names_are_the_ones_that_others_rely_on(kind: str) -> None:
    assert names(Installation("testing", (TESTING,)), kind) == CONTRACT[kind]


def test_secrets_have_the_names_that_others_rely_on() -> None:
    assert Installation("testing", (TESTING,)).made_secrets.keys() == SECRETS


def test_names_are_unique_within_their_kind(installation: Installation) -> None:
    found = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in installation.manifests]
    assert len(found) == len(set(found))


def test_the_prefix_goes_before_every_name() -> None:
    plain = Installation("testing", (TESTING,))
    prefixed = Installation("prefixed", (TESTING,), {"global.namePrefix": "site-a-"})
    jobs = {manifest["metadata"]["name"] for manifest in prefixed.of_kind("Job")}
    assert all(name.startswith("site-a-") for name in jobs)
    for kind in {manifest["kind"] for manifest in plain.manifests} - {"Job"}:
        assert names(prefixed, kind) == {f"site-a-{name}" for name in names(plain, kind)}
    assert prefixed.made_secrets.keys() == {f"site-a-{name}" for name in SECRETS}


def test_the_prefix_reaches_every_address() -> None:
    prefixed = Installation("prefixed", (TESTING,), {"global.namePrefix": "site-a-"})
    env = prefixed.container("actor-system").env
    assert env["NATS_URL"]["value"] == "tls://site-a-nats-service:4222"
    assert prefixed.one("ConfigMap", "site-a-actor-system-config")["data"]["IOT_RAY_ADDRESS"] == "site-a-ray-head:6379"
    url = prefixed.made_secrets["site-a-database-credentials"]["url"]
    assert "@site-a-postgres-0.site-a-database-headless:5432," in url
    assert ",site-a-database-service:5432/iot" in url
    assert "site-a-nats-2.site-a-nats-headless" in prefixed.nats_servers


def test_no_name_depends_on_the_release() -> None:
    mine = {manifest["metadata"]["name"] for manifest in helm.render(TESTING)}
    other = {manifest["metadata"]["name"] for manifest in helm.render(TESTING, release="other")}
    # Names of these jobs follow from the content of their pods, which bear the release's name as a label.
    assert {name for name in mine ^ other if not name.startswith(("migrate-", "streams-"))} == set()


def test_a_prefix_that_makes_no_valid_name_is_refused() -> None:
    with pytest.raises(HelmError, match="'/global/namePrefix': 'Site_A' does not match pattern"):
        helm.render(TESTING, sets={"global.namePrefix": "Site_A"})
