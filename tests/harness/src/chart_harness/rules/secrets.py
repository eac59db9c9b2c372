"""Secrets in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chart_harness.manifests import Objects

SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|API_?KEY|PRIVATE_?KEY", re.IGNORECASE)
REFERENCE = re.compile(r'"?\$\([A-Za-z_]\w*\)"?|/.*')
"""Another variable, or the path of a file."""


def plain_secrets(chart: Objects) -> Iterator[str]:
    """No variable and no key of a ConfigMap that sounds like a secret has its value in the manifest."""
    for container in chart.containers:
        for name, variable in container.env.items():
            written = str(variable.get("value") or "")
            if SECRET.search(name) and written and not REFERENCE.fullmatch(written):
                yield f"{container}: {name} stands in plain text"
    for config in chart.of_kind("ConfigMap"):
        for key, value in (config.get("data") or {}).items():
            if SECRET.search(key) and value and not REFERENCE.fullmatch(value):
                yield f"ConfigMap/{config['metadata']['name']}: {key} stands in plain text"
