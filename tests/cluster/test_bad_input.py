"""What users get wrong: each mistake is told where they look, and nothing else suffers from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from chart_harness.errors import KubernetesError
from chart_harness.waiting import wait_until

from tests.harness.helm import values_file
from tests.harness.installation import HTTP, Installation, Installations

WITHIN_S = 180.0
NOWHERE = "postgresql://iot:a-secret-word@database.nowhere.invalid:5432/iot"


@pytest.fixture(scope="module")
def without_secret(installations: Installations) -> Iterator[Installation]:
    """global.api.existingSecret names a secret that is not there."""
    installation = installations.new(
        values_file("development"), name="no-secret", sets={"global.api.existingSecret": "forgotten"}
    )
    installation.install(wait=False)
    yield installation
    installations.remove(installation)


@pytest.fixture(scope="module")
def without_database(installations: Installations, without_secret: Installation) -> Iterator[Installation]:
    """An external database whose address leads nowhere; starts beside the other one, to save time."""
    installation = installations.new(
        values_file("development"),
        name="no-database",
        sets={"global.database.mode": "external", "global.database.existingSecret": "my-database"},
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "my-database"},
        "data": {"url": base64.b64encode(NOWHERE.encode()).decode()},
    }
    installation.namespace.kubectl("create", "--filename=-", stdin=json.dumps(secret))
    installation.install(wait=False)
    yield installation
    installations.remove(installation)


@pytest.mark.usefixtures("without_database")
def test_a_secret_that_is_missing_is_named_by_kubectl_describe(without_secret: Installation) -> None:
    def described() -> str:
        return without_secret.namespace.kubectl("describe", "pods", "--selector=app.kubernetes.io/name=api")

    wait_until(lambda: 'secret "forgotten" not found' in described(), within_s=WITHIN_S, every_s=1, why="not named")
    assert without_secret.namespace.ready_pods("api") == []


def test_a_secret_that_is_missing_holds_back_no_other_part(without_secret: Installation) -> None:
    def missing() -> list[str]:
        return [why for why in without_secret.namespace.not_ready() if not why.startswith("api ")]

    wait_until(lambda: not missing(), within_s=WITHIN_S, every_s=1, why="another part is not ready")


def test_a_database_that_is_not_there_is_named_by_ready_and_by_the_log(without_database: Installation) -> None:
    way = without_database.forward("actor-system", HTTP, also_unready=True)

    def answer() -> httpx.Response | None:
        try:
            return httpx.get(f"{way.url()}/ready", trust_env=False)
        except httpx.TransportError:
            return None

    def says_what_is_missing() -> Any:
        response = answer()
        return response is not None and "database.nowhere.invalid:5432" in response.text and response

    response = wait_until(says_what_is_missing, within_s=WITHIN_S, every_s=1, why="/ready does not name the database")
    assert response.status_code == 503
    log = without_database.namespace.kubectl("logs", "deployment/actor-system")
    assert "database.nowhere.invalid:5432" in log
    assert "a-secret-word" not in log + response.text
    assert without_database.namespace.ready_pods("actor-system") == []
    pod = without_database.namespace.pods("actor-system")[0]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0, "waiting is no reason to restart"


def test_a_value_that_the_chart_does_not_know_is_refused_and_nothing_is_installed(
    installations: Installations, tmp_path: Path
) -> None:
    values = tmp_path / "misspelt.yaml"
    values.write_text("api: {replica: 3}\n")
    installation = installations.new(values)
    with pytest.raises(KubernetesError) as refused:
        installation.install()
    assert "replica" in str(refused.value)
    assert "api" in str(refused.value)
    assert installation.namespace.helm("list", "--all", "--short").strip() == ""
    names = installation.namespace.kubectl("get", "all,secrets,persistentvolumeclaims", "--output=name")
    assert names == ""
    installations.remove(installation)
