"""Amounts of CPU, memory and disk, as manifests write them."""

from __future__ import annotations

import re

UNITS = {
    **{unit: 1000.0**power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate(("K", "M", "G", "T", "P", "E"), 1)},
}
QUANTITY = re.compile(r"([+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+))(?:[eE]([+-]?[0-9]+)|([a-zA-Z]*))")


def amount(quantity: str | float) -> float:
    """A Kubernetes quantity in CPUs or bytes, infinite beyond what a float holds. Raises ValueError for what is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    match = QUANTITY.fullmatch(str(quantity))
    if match is None or (match[3] or "") not in UNITS:
        raise ValueError(f"{quantity!r} is no quantity, as 500m or 2Gi")
    return float(f"{match[1]}e{match[2]}") if match[2] else float(match[1]) * UNITS[match[3]]
