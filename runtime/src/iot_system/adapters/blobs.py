"""What stores keep whole and never look into (MessagePack): actors' states, and numbers per partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from iot_system.domain.twin import DeviceState, RoomState

encode_blob: Callable[[DeviceState | RoomState | Mapping[int, int]], bytes] = msgspec.msgpack.Encoder().encode
decode_device_state = msgspec.msgpack.Decoder(DeviceState).decode
decode_room_state = msgspec.msgpack.Decoder(RoomState).decode
decode_numbers = msgspec.msgpack.Decoder(dict[int, int]).decode
EMPTY = encode_blob({})
