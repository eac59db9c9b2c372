"""An upgrade looks at the NATS servers that run: those that encrypt and those that do not make no cluster."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chart_harness.errors import HelmError

from tests.render.existing import rendered_beside
from tests.render.rendered import TESTING

ENCRYPTED, PLAIN = [{"name": "config"}, {"name": "tls"}], [{"name": "config"}]


def refusal(mode: str, there: str) -> str:
    return (
        f"global.tls.mode is {mode}, but the NATS servers in namespace iot run {there} TLS, and the two make no "
        "cluster: stop them first, devices wait meanwhile: kubectl --namespace iot scale statefulset nats --replicas=0"
    )


def beside(volumes: list[dict[str, str]], mode: str, servers: int = 3) -> str:
    """What Helm makes of the chart beside so many running servers. Raises HelmError."""
    spec: dict[str, Any] = {"replicas": servers, "template": {"spec": {"volumes": volumes}}}
    return rendered_beside({"nats": spec}, "--values", str(TESTING), "--set", f"global.tls.mode={mode}")


@pytest.mark.parametrize(
    ("volumes", "mode", "there", "same"),
    [(PLAIN, "generated", "without", "off"), (ENCRYPTED, "off", "with", "generated")],
    ids=["on", "off"],
)
def test_encryption_is_not_switched_while_several_servers_run(
    volumes: list[dict[str, str]], mode: str, there: str, same: str
) -> None:
    with pytest.raises(HelmError, match=re.escape(refusal(mode, there))):
        beside(volumes, mode)
    for servers, wanted in ((3, same), (0, mode), (1, mode)):
        assert "kind: StatefulSet" in beside(volumes, wanted, servers)
