"""Several Postgres servers, one of them primary: what Patroni is given, and what it may do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.render.rendered import PRODUCTION, TESTING, Installation


@pytest.fixture(scope="module")
def replicated() -> Installation:
    return Installation("replicated", (PRODUCTION,))


def patroni(installation: Installation) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(installation.one("ConfigMap", "postgres-config")["data"]["patroni.yml"])
    return config


def test_a_primary_is_replaced_before_its_lease_could_be_kept_without_the_others_knowing(
    replicated: Installation,
) -> None:
    shared = patroni(replicated)["bootstrap"]["dcs"]
    assert shared["loop_wait"] + 2 * shared["retry_timeout"] <= shared["ttl"]  # Patroni's own rule


def test_a_transaction_is_on_two_disks_before_it_is_committed(replicated: Installation) -> None:
    shared = patroni(replicated)["bootstrap"]["dcs"]
    assert (shared["synchronous_mode"], shared["synchronous_mode_strict"]) == ("quorum", False)
    strict = Installation("strict", (PRODUCTION,), {"postgres.synchronous.strict": True})
    assert patroni(strict)["bootstrap"]["dcs"]["synchronous_mode_strict"] is True


def test_a_first_start_that_is_cut_off_leaves_nothing_or_a_database_with_its_roles(replicated: Installation) -> None:
    """Which the scripts of the image see to (tests/images/test_first_start.py), unlike Patroni's own initdb."""
    bootstrap = patroni(replicated)["bootstrap"]
    assert bootstrap["method"] == "initialise"
    assert bootstrap["initialise"] == {"command": "/usr/local/bin/initialise", "no_params": True}
    env = replicated.container("postgres").env
    patronis = {"POSTGRES": "PATRONI_SUPERUSER", "REPLICATION": "PATRONI_REPLICATION"}
    for ours, theirs in patronis.items():
        assert env[f"{ours}_USER"] == env[f"{theirs}_USERNAME"] | {"name": f"{ours}_USER"}
        assert env[f"{ours}_PASSWORD"] == env[f"{theirs}_PASSWORD"] | {"name": f"{ours}_PASSWORD"}
    container = replicated.container("postgres").spec
    assert [*container["command"], *container.get("args", [])][-2:] == [
        "/usr/local/bin/member",
        "/etc/postgresql/patroni.yml",
    ]


@pytest.mark.parametrize("installation", [Installation("replicated", (PRODUCTION,))], ids=str)
def test_a_server_that_cannot_be_rewound_copies_the_primary(installation: Installation) -> None:
    postgresql = patroni(installation)["postgresql"]
    assert postgresql["remove_data_directory_on_rewind_failure"] is True
    assert postgresql["create_replica_methods"] == ["basebackup"]


def test_whoever_becomes_primary_gives_all_servers_the_settings_of_the_chart(replicated: Installation) -> None:
    callbacks = patroni(replicated)["postgresql"]["callbacks"]
    assert callbacks == dict.fromkeys(("on_start", "on_role_change"), "/usr/local/bin/share-settings")
    strict = Installation("strict", (PRODUCTION,), {"postgres.synchronous.strict": True})
    checksum = "checksum/config"  # so that an upgrade that changes them has another one become primary
    assert (
        strict.workload("postgres").template["metadata"]["annotations"][checksum]
        != replicated.workload("postgres").template["metadata"]["annotations"][checksum]
    )


def test_the_service_leads_to_the_primary_alone(replicated: Installation) -> None:
    label = patroni(replicated)["kubernetes"]
    selector = replicated.one("Service", "database-service")["spec"]["selector"]
    assert selector[label["role_label"]] == label["leader_label_value"]
    assert selector.items() - {(label["role_label"], "primary")} <= replicated.workload("postgres").labels.items()


def test_patroni_finds_its_pods_by_the_labels_that_they_bear(replicated: Installation) -> None:
    config = patroni(replicated)
    wanted = {**config["kubernetes"]["labels"], config["kubernetes"]["scope_label"]: config["scope"]}
    assert wanted.items() <= replicated.workload("postgres").labels.items()


def test_its_account_may_change_its_own_config_maps_and_pods_and_no_others(replicated: Installation) -> None:
    scope = patroni(replicated)["scope"]
    named, unnamed, own_pods, pods = replicated.one("Role", "postgres")["rules"]
    assert named["resourceNames"] == [f"{scope}-{one}" for one in ("config", "leader", "failover", "sync")]
    assert unnamed["verbs"] == ["create", "list", "watch"]
    assert own_pods["resources"] == pods["resources"] == ["pods"]
    assert own_pods["resourceNames"] == [f"postgres-{index}" for index in range(3)]
    assert own_pods["verbs"] == ["patch"]
    assert pods["verbs"] == ["list", "watch"]
    ours = {one["metadata"]["name"] for one in replicated.of_kind("ConfigMap")}
    assert not ours & set(named["resourceNames"])


def test_clients_ask_every_server_whether_it_takes_writes_and_the_service_for_those_that_are_added_later(
    replicated: Installation,
) -> None:
    url = replicated.made_secrets["database-credentials"]["url"]
    members = [f"postgres-{index}.database-headless:5432" for index in range(3)]
    assert url == (
        f"postgresql://iot_runtime:{{runtime-password}}@{','.join(members)},database-service:5432/iot"
        "?target_session_attrs=read-write"
    )
    headless = replicated.one("Service", "database-headless")["spec"]
    assert headless["clusterIP"] == "None"
    assert replicated.one("StatefulSet", "postgres")["spec"]["serviceName"] == "database-headless"


def test_two_installations_in_a_namespace_have_two_scopes() -> None:
    prefixed = Installation("prefixed", (PRODUCTION,), {"global.namePrefix": "b-"})
    config: dict[str, Any] = yaml.safe_load(prefixed.one("ConfigMap", "b-postgres-config")["data"]["patroni.yml"])
    assert config["scope"] == "b-database"


def test_only_a_replicated_database_speaks_to_kubernetes(replicated: Installation) -> None:
    single = Installation("single", (TESTING,), {"global.database.mode": "single"})
    assert replicated.workload("postgres").pod["automountServiceAccountToken"] is True
    assert single.workload("postgres").pod["automountServiceAccountToken"] is False
    assert not any(one["metadata"]["name"] == "postgres" for one in single.of_kind("Role"))


def test_the_last_primary_can_come_up_whichever_it_was(replicated: Installation) -> None:
    assert replicated.one("StatefulSet", "postgres")["spec"]["podManagementPolicy"] == "Parallel"
