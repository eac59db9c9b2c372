"""Certificates: who has one, for which names, and who makes it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from chart_harness.rendering import Manifest
from iot_system.commands.certificates import read_wanted_certificates

from tests.harness import helm
from tests.harness.helm import NAMESPACE
from tests.render.rendered import (
    CERT_MANAGER,
    DEVELOPMENT,
    EXPOSED,
    EXTERNAL,
    GIVEN_SECRETS,
    ISSUER,
    PRODUCTION,
    TESTING,
    Installation,
)

COMPONENTS = {"api", "actor-system", "nats", "postgres"}
MADE = {f"{component}-tls" for component in COMPONENTS}


def hosts(installation: Installation) -> dict[str, list[str]]:
    """Names and addresses, by secret, whoever makes the certificates."""
    if made := installation.made_certificates:
        return {secret: one["hosts"] for secret, one in made["signed"].items()}
    return {
        one["spec"]["secretName"]: one["spec"]["dnsNames"] + one["spec"]["ipAddresses"]
        for one in installation.of_kind("Certificate")
        if not one["spec"].get("isCA")
    }


def certificate(installation: Installation, name: str) -> Manifest:
    spec: Manifest = installation.one("Certificate", name)["spec"]
    return spec


def test_every_component_has_a_certificate_and_ray_a_ca_of_its_own() -> None:
    made = Installation("testing", (TESTING,)).made_certificates
    assert made["signed"].keys() == MADE
    assert {one["name"] for one in made["signed"].values()} == COMPONENTS
    assert (made["authority"], made["separate"]) == ("tls-ca", ["ray-ca"])


def test_what_the_chart_asks_for_is_what_the_command_reads(installation: Installation) -> None:
    made = installation.made_certificates
    read = read_wanted_certificates(json.dumps(made)) if made else None
    assert bool(made) is (read is not None)
    assert bool(made) is (
        installation.name not in {"development", "unencrypted", "given-secrets", "cert-manager", "issuer"}
    )


def test_the_ca_that_signs_is_mounted_nowhere(installation: Installation) -> None:
    for workload in installation.workloads:
        assert "tls-ca" not in json.dumps([workload.volumes, workload.pod["containers"][0].get("volumeMounts")])


@pytest.mark.parametrize("sets", [{}, CERT_MANAGER], ids=["generated", "cert-manager"])
def test_a_certificate_bears_every_name_of_the_services_that_lead_to_its_component(sets: dict[str, Any]) -> None:
    installation = Installation("exposed", (PRODUCTION,), {**EXPOSED, **sets, "global.namePrefix": "site-a-"})
    found = hosts(installation)
    for service in installation.of_kind("Service"):
        component = service["spec"]["selector"]["app.kubernetes.io/name"]
        if component != "ray-head":
            name = service["metadata"]["name"]
            forms = [name, f"{name}.{NAMESPACE}", f"{name}.{NAMESPACE}.svc"]
            if service["spec"].get("clusterIP") == "None":
                forms = [f"site-a-{component}-{pod}.{form}" for form in forms for pod in range(3)]
            assert set(forms) <= set(found[f"site-a-{component}-tls"])
    assert all({"localhost", "127.0.0.1"} <= set(one) for one in found.values())


@pytest.mark.parametrize(("mode", "servers"), [("single", 0), ("replicated", 3)])
def test_what_the_runtime_and_the_servers_dial_is_a_name_of_the_certificate(mode: str, servers: int) -> None:
    installation = Installation(mode, (TESTING,), {"global.database.mode": mode})
    found = hosts(installation)
    urls = [
        installation.one("ConfigMap", "api-config")["data"]["NATS_URL"],
        installation.container("actor-system").env["NATS_URL"]["value"],
    ]
    of_nats = {urlsplit(url).hostname for url in urls} | set(installation.nats_servers)
    assert of_nats <= set(found["nats-tls"])
    assert len(of_nats) == 4
    for url in ("url", "owner-url", "reader-url"):
        places = installation.made_secrets["database-credentials"][url].split("@")[1].split("/")[0]
        dialled = [place.split(":")[0] for place in places.split(",")]
        assert len(dialled) == servers + 1
        assert set(dialled) <= set(found["postgres-tls"])


def test_the_api_bears_the_names_under_which_it_is_reached_from_outside_once_each() -> None:
    sets = {**EXPOSED, "api.hostNames": ["mqtt.example.org", "*.devices.example.org", "198.51.100.7"]}
    named = hosts(Installation("named", (PRODUCTION,), sets))["api-tls"]
    assert {"iot.example.org", "mqtt.example.org", "*.devices.example.org", "198.51.100.7"} <= set(named)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("mode", ["memory", "external"])
def test_without_a_database_of_its_own_there_is_no_certificate_for_one(mode: str) -> None:
    secret = "mine" if mode == "external" else ""
    installation = Installation(
        mode,
        (DEVELOPMENT,),
        {"global.database": {"mode": mode, "existingSecret": secret}, "global.tls.mode": "generated"},
    )
    assert installation.made_certificates["signed"].keys() == MADE - {"postgres-tls"}


def test_for_servers_that_are_not_its_own_there_is_no_certificate_and_none_is_demanded() -> None:
    outside = Installation("external", (PRODUCTION, EXTERNAL))
    assert outside.made_certificates["signed"].keys() == {"api-tls", "actor-system-tls"}
    given = {"api": "a", "actor-system": "b", "nats": "", "postgres": "", "ray": "c"}
    sets = {"global.tls.mode": "existing", "global.tls.existing": given}
    assert Installation("given", (PRODUCTION, EXTERNAL), sets).made_certificates == {}


@pytest.mark.parametrize("off", ["off", False])
def test_switched_off_there_are_none_also_where_yaml_has_made_false_of_it(off: object) -> None:
    installation = Installation("off", (TESTING,), {"global.tls.mode": off})
    assert installation.made_certificates == {}
    assert installation.of_kind("Certificate") == []


def test_the_rights_are_those_over_the_secrets_that_are_made(installation: Installation) -> None:
    made = installation.made_certificates
    names = installation.made_secrets.keys() | (
        {*made["signed"], *made["separate"], made["authority"]} if made else set()
    )
    roles = [one for one in installation.of_kind("Role") if "secrets" in one["metadata"]["name"]]
    assert len(roles) == (2 if names else 0)
    for role in roles:
        named, create = role["rules"]
        assert set(named["resourceNames"]) == names
        assert named["verbs"] == ["get", "patch"]
        assert create == {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}


def test_the_renewal_runs_by_itself_only_where_certificates_are_generated() -> None:
    def suspended(mode: str) -> bool:
        return bool(
            Installation(mode, (TESTING,), {"global.tls.mode": mode}).one("CronJob", "secrets-renewal")["spec"][
                "suspend"
            ]
        )

    assert {mode: suspended(mode) for mode in ("generated", "certManager", "off")} == {
        "generated": False,
        "certManager": True,
        "off": True,
    }


def test_the_schedule_is_the_one_that_is_given() -> None:
    cron = Installation("weekly", (TESTING,), {"global.tls.generated.schedule": "@weekly"}).one(
        "CronJob", "secrets-renewal"
    )
    assert cron["spec"]["schedule"] == "@weekly"
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"


def test_given_secrets_are_made_by_nobody() -> None:
    installation = Installation("given", (PRODUCTION,), GIVEN_SECRETS)
    assert installation.made_certificates == {}
    assert installation.of_kind("Certificate") == []


def test_cert_manager_makes_the_same_secrets_by_a_ca_of_the_installations_own() -> None:
    installation = Installation("cert-manager", (PRODUCTION,), CERT_MANAGER)
    assert {one["spec"]["secretName"] for one in installation.of_kind("Certificate")} == MADE | {"ray-ca", "tls-ca"}
    issuers = {one["metadata"]["name"]: one["spec"] for one in installation.of_kind("Issuer")}
    assert issuers == {"tls-self-signed": {"selfSigned": {}}, "tls-ca": {"ca": {"secretName": "tls-ca"}}}
    for ca in ("ray-ca", "tls-ca"):
        spec = certificate(installation, ca)
        assert (spec["isCA"], spec["issuerRef"]["name"]) == (True, "tls-self-signed")
        # The same key, or what was signed before would be refused at once.
        assert spec["privateKey"]["rotationPolicy"] == "Never"
    assert {certificate(installation, name)["issuerRef"]["name"] for name in MADE} == {"tls-ca"}


def test_a_given_issuer_signs_everything_but_rays_ca() -> None:
    installation = Installation("issuer", (PRODUCTION,), ISSUER)
    given = {"name": "ours", "kind": "ClusterIssuer", "group": "certs.example.org"}
    assert all(certificate(installation, name)["issuerRef"] == given for name in MADE)
    assert certificate(installation, "ray-ca")["issuerRef"]["name"] == "tls-self-signed"
    assert [one["metadata"]["name"] for one in installation.of_kind("Issuer")] == ["tls-self-signed"]


@pytest.mark.parametrize("sets", [CERT_MANAGER, ISSUER], ids=["own CA", "issuer"])
def test_every_certificate_of_cert_manager_is_for_servers_and_clients_with_a_new_key_each_time(
    sets: dict[str, Any],
) -> None:
    installation = Installation("cert-manager", (PRODUCTION,), sets)
    for name in MADE:
        spec = certificate(installation, name)
        assert set(spec["usages"]) == {"digital signature", "server auth", "client auth"}
        assert spec["privateKey"] == {
            "algorithm": "ECDSA",
            "size": 256,
            "encoding": "PKCS8",
            "rotationPolicy": "Always",
        }


def test_an_unquoted_off_in_a_values_file_is_off(tmp_path: Any) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("global:\n  tls:\n    mode: off\n")
    assert "IOT_CERTIFICATES" not in helm.render_text(values)
