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


def test_times_that_are_equal_are_in_memory_once_and_others_stay_apart() -> None:
    latest = {"a": Latest(AT_US, 1.5), "b": Latest(AT_US, 2.5), "c": Latest(AT_US - 7, True), "d": Latest(AT_US, "x")}
    state = decode_device_state(encode_blob(DeviceState(latest=latest, last_seen_us=AT_US)))
    assert state == DeviceState(latest=latest, last_seen_us=AT_US)
    assert state.latest["a"].time_us is state.latest["b"].time_us is state.last_seen_us
