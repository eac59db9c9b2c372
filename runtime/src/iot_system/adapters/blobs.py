"""What stores keep whole and never look into (MessagePack): actors' states, and numbers per partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from iot_system.domain.nothing import NOTHING
from iot_system.domain.twin import DeviceState, RoomState

encode_blob: Callable[[DeviceState | RoomState | msgspec.Raw | Mapping[int, int]], bytes] = (
    msgspec.msgpack.Encoder().encode
)
_decode_device_state = msgspec.msgpack.Decoder(DeviceState).decode
decode_room_state = msgspec.msgpack.Decoder(RoomState).decode
decode_numbers = msgspec.msgpack.Decoder(dict[int, int]).decode
EMPTY = encode_blob({})


def decode_device_state(blob: bytes) -> DeviceState:
    """The state of a device, whichever form it was stored in."""
    state = _decode_device_state(blob)
    if before := state.before:
        state.before = NOTHING
        state.keep(
            {metric: one.value for metric, one in before.items()},
            {metric: one.time_us for metric, one in before.items()},
        )
    if state.times == state.last_seen_us:
        state.times = state.last_seen_us  # mostly: one number less in memory
    return state
