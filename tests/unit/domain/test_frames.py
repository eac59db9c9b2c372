"""Frames survive their encoding, and nothing else passes for one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.frames import ActorFrame, DeviceFrame, Frame, RoomReadings, decode_frame, encode_frame
from iot_system.domain.readings import Telemetry

from tests.unit.domain.strategies import NOW_US, ids, names, telemetry, values

room_readings = st.builds(
    RoomReadings,
    room=ids,
    readings=st.lists(st.tuples(ids, st.integers(0, NOW_US), st.dictionaries(names, values, max_size=3)), max_size=3),
)
frames: st.SearchStrategy[Frame] = st.builds(DeviceFrame, st.lists(telemetry, max_size=4)) | st.builds(
    ActorFrame, st.integers(0, 4095), st.integers(1, 2**53), st.lists(room_readings, max_size=3)
)


@given(frames)
def test_a_frame_decodes_to_what_was_encoded(frame: Frame) -> None:
    decoded = decode_frame(encode_frame(frame))
    assert decoded == frame
    # Equal is not enough: 1 == 1.0 == True, and the store gives each kind its own column.
    assert repr(decoded) == repr(frame)


def test_the_encoding_is_the_one_that_stands_in_streams_and_outboxes() -> None:
    """A change of these bytes breaks a rolling update: frames of the old version wait in the stream."""
    frame = DeviceFrame([Telemetry("d", 1, {"t": 21.5}), Telemetry("d", 2, {"t": 1}, 7, "b", "x")])
    assert msgspec.msgpack.decode(encode_frame(frame)) == [
        "device",
        [["d", 1, {"t": 21.5}, None, None, None], ["d", 2, {"t": 1}, 7, "b", "x"]],
    ]
    assert msgspec.msgpack.decode(encode_frame(ActorFrame(3, 9, [RoomReadings("r", [("d", 1, {"t": 1})])]))) == [
        "actor",
        3,
        9,
        [["room", "r", [["d", 1, {"t": 1}]]]],
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"{}", msgspec.msgpack.encode(["other", 1]), msgspec.msgpack.encode(["device"]), b"\x92\xa6device"],
)
def test_what_is_no_frame_raises_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_frame(data)


@given(frames, st.data())
def test_a_truncated_frame_is_no_frame(frame: Frame, data: st.DataObject) -> None:
    encoded = encode_frame(frame)
    with pytest.raises(msgspec.MsgspecError):
        decode_frame(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
