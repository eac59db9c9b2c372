"""Which processes live, by what they say every two seconds."""

from __future__ import annotations

DEAD_AFTER_S = 15.0


class Presence:
    """Times are seconds of one monotonic clock. Who was never heard counts from the beginning."""

    def __init__(self, now_s: float) -> None:
        self._began_s = now_s
        self._heard_s: dict[str, float] = {}

    def heard(self, gateway: str, now_s: float) -> None:
        """It has just said that it lives."""
        self._heard_s[gateway] = now_s

    def is_dead(self, gateway: str, now_s: float) -> bool:
        """Whether nothing came from it for `DEAD_AFTER_S`."""
        return now_s - self._heard_s.get(gateway, self._began_s) >= DEAD_AFTER_S

    def take_dead(self, now_s: float) -> list[str]:
        """Who has died since this was last asked."""
        dead = [gateway for gateway in self._heard_s if self.is_dead(gateway, now_s)]
        for gateway in dead:
            del self._heard_s[gateway]
        return dead

    def is_first(self, gateway: str) -> bool:
        """Whether it is the one of those that live to do what one has to do; they may disagree for a moment."""
        return gateway == min(self._heard_s, default=gateway)
