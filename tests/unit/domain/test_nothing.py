"""What all share who have nothing."""

from __future__ import annotations

import msgspec
import pytest
from iot_system.adapters.blobs import decode_device_state, encode_blob
from iot_system.domain.nothing import NOTHING
from iot_system.domain.twin import DeviceState, Latest

AT_US = 1_700_000_000_000_000


def test_nobody_can_put_something_into_the_nothing_of_all() -> None:
    for change in ("setdefault", "update", "__ior__"):
        with pytest.raises(TypeError, match="read only"):
            getattr(NOTHING, change)({"a": 1})
    with pytest.raises(TypeError, match="read only"):
        NOTHING["a"] = 1
    assert NOTHING == {}
    assert NOTHING | {"a": 1} == {"a": 1}


def test_states_that_have_nothing_share_it_and_are_stored_as_ever() -> None:
    state = decode_device_state(encode_blob(DeviceState(seq=4)))
    assert state.reported is state.desired is state.extra is state.timers is NOTHING
    assert msgspec.msgpack.decode(encode_blob(state)) == {"seq": 4}
    assert msgspec.json.encode(state.desired) == b"{}"


def test_newest_values_of_a_state_that_had_a_time_with_each_are_read() -> None:
    apart = {"latest": {"a": [AT_US, 1.5], "b": [AT_US - 7, True]}, "last_seen_us": AT_US, "seq": 3}
    state = decode_device_state(msgspec.msgpack.encode(apart))
    assert state.latest == {"a": Latest(AT_US, 1.5), "b": Latest(AT_US - 7, True)}
    assert (state.newest_us, state.time_of("b"), state.time_of("c")) == (AT_US, AT_US - 7, None)
    again = decode_device_state(encode_blob(state))
    assert again == state
    assert "latest" not in msgspec.msgpack.decode(encode_blob(state))


def test_values_of_one_time_share_it() -> None:
    together = {"latest": {"a": [AT_US, 1.5], "b": [AT_US, "x"]}, "last_seen_us": AT_US}
    state = decode_device_state(msgspec.msgpack.encode(together))
    assert state == DeviceState(values={"a": 1.5, "b": "x"}, times=AT_US, last_seen_us=AT_US)
    assert state.times is state.last_seen_us
