"""Every bound of the MQTT server."""

from __future__ import annotations

import msgspec

HEADERS_BYTES = 16 * 1024
"""What a packet of MQTT 5 may have beyond its payload: topic and properties."""
TOPIC_BYTES = 1024
TOPIC_LEVELS = 32
"""Of topic names and filters, wherever one is more than read and refused."""
_DAY_S = 86_400


class MqttLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, durations in seconds."""

    connections: int = 10_000
    payload_bytes: int = 128 * 1024
    connect_bytes: int = 16 * 1024
    """CONNECT itself, so that strangers cannot make the server hold more."""
    in_flight_messages: int = 10_000
    """Received and not yet durable, per connection; past it, or past ``in_flight_bytes``, nothing more is read."""
    in_flight_bytes: int = 512 * 1024
    process_bytes: int = 64 * 1024 * 1024
    """The same for all connections of the process together."""
    receive_maximum: int = 10_000
    """Messages of QoS 1 and 2 that a client of MQTT 5 may have unacknowledged, and of QoS 2 unreleased in 3.1.1."""
    topic_aliases: int = 64
    """In each direction, per connection."""
    write_buffer_bytes: int = 64 * 1024
    output_bytes: int = 512 * 1024
    """Messages of QoS 0 that would make more than this wait for one client are dropped."""
    queued_messages: int = 1000
    """Per session: QoS 1, sent or waiting, and not acknowledged by the client."""
    queued_bytes: int = 1024 * 1024
    subscriptions: int = 64
    sessions: int = 100
    """Per owner, that outlive their connections."""
    session_expiry_s: int = 7 * _DAY_S
    """The longest that a session outlives its connection; a client of 3.1.1 that wants one gets this."""
    server_keep_alive_s: int = 3600
    """The longest keep-alive of a client of MQTT 5 (3.2.2.3.14); 0 leaves it to the client. 3.1.1 cannot be told."""
    connect_timeout_s: float = 10.0
    packet_timeout_s: float = 60.0
    """The longest that one packet may take from its first byte to its last."""
    write_timeout_s: float = 30.0
    """The longest that a client may leave its answers unread once ``write_buffer_bytes`` wait for it."""
    linger_s: float = 2.0
    """How long a client may take to read the last answer and to close its side."""
    refusal_pause_s: float = 1.0
    """From a refused message to the end of its connection: bounds the pace of a client that sends it for ever."""
