"""How long a client may take (3.1.2.10, and our own limits)."""

from __future__ import annotations

from iot_system.adapters.mqtt.limits import MqttLimits


class Patience:
    """Knows when the client was heard and since when it is waited for. Time is seconds of the caller's clock."""

    def __init__(self, limits: MqttLimits, now_s: float) -> None:
        self._limits = limits
        self._heard_s = now_s
        self._packet_began_s: float | None = None
        self._write_blocked_s: float | None = None
        self.keep_alive_s: float | None = None
        """The longest silence, 0 for none; None before CONNECT."""

    @property
    def is_write_blocked(self) -> bool:
        """Whether the client does not read what is sent."""
        return self._write_blocked_s is not None

    def heard(self, now_s: float, *, whole_packet: bool, is_inside_packet: bool) -> None:
        """Bytes came."""
        if whole_packet:
            self._heard_s = now_s
        if not is_inside_packet:
            self._packet_began_s = None
        elif whole_packet or self._packet_began_s is None:
            self._packet_began_s = now_s

    def resumed(self, now_s: float) -> None:
        """Reading goes on after a pause of our making."""
        self._heard_s = now_s
        if self._packet_began_s is not None:
            self._packet_began_s = now_s

    def write_blocked(self, now_s: float) -> None:
        self._write_blocked_s = now_s

    def write_unblocked(self) -> None:
        self._write_blocked_s = None

    def exhausted(self, now_s: float, *, is_reading: bool) -> str | None:
        """Why the client is too slow, in a sentence; None while it is not."""
        limits = self._limits
        if self._write_blocked_s is not None:
            if now_s - self._write_blocked_s > limits.write_timeout_s:
                return f"the client did not read its answers for {limits.write_timeout_s:g} s"
        elif not is_reading:
            return None
        elif self.keep_alive_s is None:
            if now_s - self._heard_s > limits.connect_timeout_s:
                return f"no CONNECT came within {limits.connect_timeout_s:g} s"
        elif self.keep_alive_s and now_s - self._heard_s > self.keep_alive_s:
            return f"nothing came for {self.keep_alive_s:g} s, 1.5 times the keep-alive"
        elif self._packet_began_s is not None and now_s - self._packet_began_s > limits.packet_timeout_s:
            return f"a packet was not complete after {limits.packet_timeout_s:g} s"
        return None
