"""What stores keep whole and never look into (MessagePack): actors' states, and numbers per partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from iot_system.domain.twin import DeviceState, Latest, RoomState

encode_blob: Callable[[DeviceState | RoomState | msgspec.Raw | Mapping[int, int]], bytes] = (
    msgspec.msgpack.Encoder().encode
)
_decode_device_state = msgspec.msgpack.Decoder(DeviceState).decode
decode_room_state = msgspec.msgpack.Decoder(RoomState).decode
decode_numbers = msgspec.msgpack.Decoder(dict[int, int]).decode
EMPTY = encode_blob({})


def decode_device_state(blob: bytes) -> DeviceState:
    """The state of a device. Metrics mostly came together, so times that are equal are in memory once."""
    state = _decode_device_state(blob)
    latest, time_us = state.latest, state.last_seen_us
    for metric, one in latest.items():
        if one.time_us == time_us:
            latest[metric] = Latest(time_us, one.value)
        else:
            time_us = one.time_us
    return state
