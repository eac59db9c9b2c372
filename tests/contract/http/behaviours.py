"""A behaviour that fails."""

from __future__ import annotations

from collections.abc import Iterator

from iot_system.actors.device import DeviceActor
from iot_system.domain.history import Reading

LIMIT = 50


class RaisesAboveLimit(DeviceActor):
    """Raises at each number over `LIMIT`."""

    def on_reading(self, reading: Reading) -> Iterator[object]:  # type: ignore[override]
        if isinstance(reading.value, int | float) and reading.value > LIMIT:
            raise ValueError("too much")
        return iter(())
