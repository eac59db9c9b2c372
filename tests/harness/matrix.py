"""Who may talk to whom, as docs/network.md has it: one table, for the rendered policies and for packets."""

from __future__ import annotations

import re

from tests.harness.helm import ROOT

SERVICES = ("api", "actor-system", "ray-head", "nats", "postgres")
JOBS = ("migrate", "streams", "backup", "secrets", "sample", "check")


def documented() -> dict[tuple[str, str], str]:
    """The table: (from, to) → ports, as `policies.ranges` writes them."""
    text = (ROOT / "docs" / "network.md").read_text()
    [table] = re.findall(r"<!-- matrix: begin -->\n(.*?)<!-- matrix: end -->", text, re.DOTALL)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {(row[0], target): cell for row in rows for target, cell in zip(head[1:], row[1:], strict=True)}
