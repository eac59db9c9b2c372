"""The secrets command against a real API server, with the rights of the chart's service account and no others."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from chart_harness.cluster import Kubernetes as ClusterAccess
from chart_harness.cluster import Namespace
from chart_harness.errors import KubernetesError
from iot_system.adapters.tls.authority import is_signed_by
from iot_system.commands.certificates import Certificates, read_wanted_certificates
from iot_system.commands.kubernetes import RENEW, Kubernetes
from iot_system.commands.renewal import OVERLAP
from iot_system.commands.secrets import make_secrets, read_wanted
from iot_system.errors import Conflict, Forbidden

from tests.harness import helm
from tests.harness.account import as_account
from tests.harness.renewal import ACCOUNT, Renewal
from tests.render.rendered import TESTING, Installation

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def namespace(kubernetes: ClusterAccess) -> Iterator[Namespace]:
    """One that has the account, its rights, and nothing else of the chart."""
    made = Namespace(kubernetes, f"iot-secrets-{secrets.token_hex(3)}")
    made.create()
    kinds = ("serviceaccount", "role", "rolebinding", "cronjob")
    shown = [f"--show-only=templates/secrets/{kind}.yaml" for kind in kinds]
    made.kubectl(
        "apply", "--filename=-", stdin=helm.template("--namespace", made.name, "--values", str(TESTING), *shown)
    )
    yield made
    made.delete()
    made.wait_until_gone()


@pytest.fixture(scope="module")
def api(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """The API server as a pod with that account would use it."""
    with as_account(namespace, ACCOUNT, tmp_path_factory.mktemp("account")) as connected:
        yield connected


def run(api: Kubernetes, namespace: Namespace, now: datetime = NOW) -> None:
    """The command, with what the chart tells it."""
    chart = Installation("testing", (TESTING,))
    certificates = read_wanted_certificates(json.dumps(chart.made_certificates))
    assert certificates is not None
    Certificates(api, namespace.name, certificates, now).make()
    make_secrets(api, namespace.name, read_wanted(json.dumps(chart.made_secrets)))


def held(namespace: Namespace) -> dict[str, Any]:
    """All secrets by name."""
    return {one["metadata"]["name"]: one for one in namespace.read("secrets")["items"]}


def test_the_charts_rights_suffice_for_what_the_chart_asks_for(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    made = held(namespace)
    chart = Installation("testing", (TESTING,))
    certificates = chart.made_certificates
    tls = {*certificates["signed"], *certificates["separate"], certificates["authority"]}
    assert {name: one["type"] for name, one in made.items()} == {
        **dict.fromkeys(chart.made_secrets, "Opaque"),
        **dict.fromkeys(tls, "kubernetes.io/tls"),
    }
    run(api, namespace)
    assert held(namespace) == made


def test_a_key_that_is_missing_is_added_and_the_rest_stays(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    before = held(namespace)["database-credentials"]["data"]
    removal = '{"data": {"url": null, "mine": "eA=="}, "metadata": {"annotations": {"example.org/owner": "us"}}}'
    namespace.kubectl("patch", "secret", "database-credentials", "--type=merge", f"--patch={removal}")
    run(api, namespace)
    after = held(namespace)["database-credentials"]
    assert after["data"] == before | {"mine": "eA=="}
    assert after["metadata"]["annotations"] == {"example.org/owner": "us"}


def test_what_is_annotated_is_made_anew_and_the_annotation_goes(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    before = held(namespace)
    for name, key in (("api-credentials", "admin-token"), ("nats-tls", "tls.crt")):
        namespace.kubectl("annotate", "secret", name, f"{RENEW}={key}")
    run(api, namespace)
    after = held(namespace)
    changed = {name for name in after if after[name]["data"] != before[name]["data"]}
    assert changed == {"api-credentials", "nats-tls"}
    assert not any(RENEW in after[name]["metadata"].get("annotations", {}) for name in changed)


def test_a_ca_is_replaced_in_three_runs(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    old = namespace.secret("tls-ca", "tls.crt")
    for step in (1, 2, 3):
        if step < 3:
            namespace.kubectl("annotate", "secret", "tls-ca", f"{RENEW}=tls.crt")
        run(api, namespace, NOW + step * OVERLAP)
    new = namespace.secret("tls-ca", "tls.crt")
    assert new != old
    assert held(namespace)["tls-ca"]["data"].keys() == {"tls.crt", "tls.key"}
    for name in ("api-tls", "nats-tls", "postgres-tls", "actor-system-tls"):
        assert namespace.secret(name, "ca.crt") == new
        assert is_signed_by(namespace.secret(name, "tls.crt").encode(), new.encode())


def test_a_job_that_is_made_from_the_cronjob_does_the_same(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    renewal = Renewal(namespace)
    renewal.run_job()  # Services have the names of this namespace, which the certificates have not yet
    before = held(namespace)
    renewal.ask([("api-tls", "tls.crt")])
    told = renewal.run_job()
    assert "api-tls: made anew, as asked for" in told
    assert "api-credentials: exists, left as it is" in told
    after = held(namespace)
    assert {name for name in after if after[name]["data"] != before[name]["data"]} == {"api-tls"}


def test_who_was_slower_changes_nothing(api: Kubernetes, namespace: Namespace) -> None:
    run(api, namespace)
    found = api.read_secret(namespace.name, "nats-tls")
    assert found is not None
    namespace.kubectl("annotate", "secret", "nats-tls", "example.org/seen=yes")
    with pytest.raises(Conflict):
        api.change_secret(namespace.name, "nats-tls", found, {"tls.crt": b"x"}, renewed=False)
    assert namespace.secret("nats-tls", "tls.crt").encode() == found.data["tls.crt"]


def test_the_account_may_neither_read_other_secrets_nor_delete_its_own(api: Kubernetes, namespace: Namespace) -> None:
    namespace.kubectl("create", "secret", "generic", "of-another", "--from-literal=a=b")
    with pytest.raises(Forbidden, match=r"cannot read secret 'of-another' .* 403 .*cannot get resource"):
        api.read_secret(namespace.name, "of-another")
    account = f"--as=system:serviceaccount:{namespace.name}:{ACCOUNT}"
    assert namespace.kubectl("auth", "can-i", "get", "secrets/nats-tls", account).strip() == "yes"
    for verb, what in (("list", "secrets"), ("delete", "secrets/nats-tls"), ("update", "secrets/nats-tls")):
        with pytest.raises(KubernetesError):
            namespace.kubectl("auth", "can-i", verb, what, account)
