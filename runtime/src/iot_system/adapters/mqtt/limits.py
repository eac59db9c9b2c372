"""Every bound of the MQTT server."""

from __future__ import annotations

import msgspec

HEADERS_BYTES = 16 * 1024
"""What a packet of MQTT 5 may have beyond its payload: topic and properties."""


class MqttLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, durations in seconds."""

    connections: int = 10_000
    payload_bytes: int = 128 * 1024
    connect_bytes: int = 16 * 1024
    """CONNECT itself, so that strangers cannot make the server hold more."""
    in_flight_messages: int = 10_000
    """Received and not yet durable, per connection; past it, or past ``in_flight_bytes``, nothing more is read."""
    in_flight_bytes: int = 512 * 1024
    write_buffer_bytes: int = 64 * 1024
    subscriptions: int = 64
    connect_timeout_s: float = 10.0
    packet_timeout_s: float = 60.0
    """The longest that one packet may take from its first byte to its last."""
    write_timeout_s: float = 30.0
    """The longest that a client may leave its answers unread once ``write_buffer_bytes`` wait for it."""
    linger_s: float = 2.0
    """How long a client may take to read the last answer and to close its side."""
    refusal_pause_s: float = 1.0
    """From a refused message to the end of its connection: bounds the pace of a client that sends it for ever."""
