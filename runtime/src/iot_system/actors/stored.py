"""Which readings are in the history, so that none is taken in twice."""

from __future__ import annotations

from collections.abc import Iterable

from iot_system.domain.readings import Telemetry


class Stored:
    """Readings that the history has, or will have with the commit under way: ``(device, metric, time_us)``.

    It begins with those among the late ones that the history has; what a turn takes in joins them. Most readings are
    newer than all before, so that nobody asks: keys are made of what has joined only once somebody does.
    """

    __slots__ = ("_joined", "_keys")

    def __init__(self, known: Iterable[tuple[str, str, int]] = ()) -> None:
        self._keys = set(known)
        self._joined: list[Telemetry] = []

    def join(self, messages: Iterable[Telemetry]) -> None:
        """All readings of ``messages`` will be in the history."""
        self._joined += messages

    def __contains__(self, key: tuple[str, str, int]) -> bool:
        for message in self._joined:
            self._keys.update([(message.device, metric, message.time_us) for metric in message.values])
        self._joined.clear()
        return key in self._keys
