"""An upgrade looks at the database that is there, and refuses to make another kind of it."""

from __future__ import annotations

import re

import pytest
from chart_harness.errors import HelmError

from tests.render.existing import rendered_beside


def refusal(mode: str, there: str) -> str:
    return (
        f"global.database.mode is {mode}, but the database in namespace iot is {there}, and stays so: set that, or "
        "restore its backup into a new installation."
    )


@pytest.mark.parametrize(
    ("service", "mode", "there"),
    [("database-service", "replicated", "single"), ("database-headless", "single", "replicated")],
)
def test_a_database_of_the_other_kind_is_refused_in_one_sentence(service: str, mode: str, there: str) -> None:
    with pytest.raises(HelmError, match=re.escape(refusal(mode, there))):
        beside(service, mode)
    assert f"serviceName: {service}" in beside(service, there)


def beside(service: str, mode: str) -> str:
    """What Helm makes of the chart where the StatefulSet postgres belongs to this Service. Raises HelmError."""
    return rendered_beside({"postgres": {"serviceName": service}}, "--set", f"global.database.mode={mode}")
