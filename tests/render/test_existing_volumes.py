"""An upgrade looks at the volumes that are there, and refuses another size of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chart_harness.errors import HelmError

from tests.render.existing import rendered_beside

EXTERNAL_NATS = (
    "global.nats.mode=external",
    "global.nats.urls={nats://nats.example.org:4222}",
    "global.natsApi.existingSecret=a",
    "global.natsActorSystem.existingSecret=b",
)


def refusal(value: str, name: str) -> str:
    return (
        f"{value} is 30Gi, but the volumes of StatefulSet {name} in namespace iot have 20Gi, and Kubernetes does not "
        "change them by itself: set that, or let them grow first, as docs/operations.md says."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("nats", "nats.storage"), ("postgres", "postgres.storage"), ("ray-head", "actor-system.ray.head.storage")],
)
def test_another_size_of_volumes_that_exist_is_refused_in_one_sentence(name: str, value: str) -> None:
    sets = ("global.database.mode=single", f"{value}=30Gi")
    with pytest.raises(HelmError, match=re.escape(refusal(value, name))):
        beside(name, "20Gi", *sets)
    for same in ("30Gi", "30720Mi"):
        assert "storage: 30Gi" in beside(name, same, *sets)


def test_the_volumes_of_servers_that_are_not_ours_may_have_any_size() -> None:
    beside("nats", "1Gi", "global.database.mode=single", *EXTERNAL_NATS)


def beside(name: str, size: str, *sets: str) -> str:
    """What Helm makes of the chart where this StatefulSet has volumes of that size. Raises HelmError."""
    claim: dict[str, Any] = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    spec = {"serviceName": "database-service", "volumeClaimTemplates": [claim]}
    return rendered_beside({name: spec}, "--set", ",".join(sets))
