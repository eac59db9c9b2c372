"""Secrets in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chart_harness.manifests import Objects

SECRET = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|CREDENTIAL|API_?KEY|PRIVATE_?KEY", re.IGNORECASE)
REFERENCE = re.compile(r'"?\$\([A-Za-z_]\w*\)"?')
"""Another variable."""
OF_PATHS = re.compile("(FILE|PATH|DIR|FOLDER|MOUNT)$", re.IGNORECASE)
"""Names whose value may be a path: else one that begins with a slash is a secret like any other."""


def plain_secrets(chart: Objects) -> Iterator[str]:
    """No variable and no key of a ConfigMap that sounds like a secret has its value in the manifest."""
    for container in chart.containers:
        for name, variable in container.env.items():
            written = str(variable.get("value") or "")
            if _is_plain(name, written):
                yield f"{container}: {name} stands in plain text"
    for config in chart.of_kind("ConfigMap"):
        for key, value in (config.get("data") or {}).items():
            if _is_plain(key, value):
                yield f"ConfigMap/{config['metadata']['name']}: {key} stands in plain text"


def _is_plain(name: str, value: str) -> bool:
    is_path = bool(OF_PATHS.search(name)) and value.startswith("/")
    return bool(SECRET.search(name) and value) and not (is_path or REFERENCE.fullmatch(value))
