"""The registry through the library, against the real system."""

from __future__ import annotations

import pytest
from iot_system.client import DeviceConnection, IotClient, NewDevice
from iot_system.errors import Conflict, NotFound, Unauthenticated

from tests.contract.client.shared import Shared


async def test_a_device_is_registered_changed_and_removed(iot: IotClient) -> None:
    made = await iot.devices.create(NewDevice(id="r-1", room="r-lab", labels={"floor": "2"}))
    assert (made.id, made.room, made.labels, made.enabled, made.gateway) == ("r-1", "r-lab", {"floor": "2"}, True, None)
    changed = await iot.devices.patch("r-1", {"room": None, "labels": {"floor": None, "side": "north"}})
    assert (changed.room, changed.labels, changed.created) == (None, {"side": "north"}, made.created)
    assert await iot.devices.get("r-1") == changed
    await iot.devices.delete("r-1")
    with pytest.raises(NotFound, match="r-1"):
        await iot.devices.get("r-1")


async def test_an_id_is_given_once(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="r-2"))
    with pytest.raises(Conflict, match="r-2"):
        await iot.devices.create(NewDevice(id="r-2"))


async def test_many_devices_are_registered_and_listed_over_all_pages(iot: IotClient) -> None:
    ids = [f"r-many-{number:04}" for number in range(2_500)]
    imported = await iot.devices.register(
        NewDevice(id=id_, room="r-hall") for id_ in [*ids, "r-many-0000", "not an id"]
    )
    assert imported.created == len(ids)
    assert imported.existing == []
    assert imported.refused.keys() == {"r-many-0000", "not an id"}
    assert [device.id async for device in iot.devices.list(room="r-hall")] == ids
    again = await iot.devices.register([NewDevice(id=ids[0])])
    assert (again.created, again.existing, again.refused) == (0, [ids[0]], {})


async def test_an_import_without_a_good_device_tells_why_of_each(iot: IotClient) -> None:
    imported = await iot.devices.register([NewDevice(id="no id"), NewDevice(id="none either")])
    assert (imported.created, set(imported.refused)) == (0, {"no id", "none either"})


async def test_devices_are_listed_by_label(iot: IotClient) -> None:
    await iot.devices.register(NewDevice(id=f"r-l{number}", labels={"r-kind": str(number % 2)}) for number in range(4))
    assert [device.id async for device in iot.devices.list(label="r-kind=1")] == ["r-l1", "r-l3"]


async def test_a_token_lets_its_device_in_until_it_is_revoked(iot: IotClient, system: Shared) -> None:
    await iot.devices.create(NewDevice(id="r-3"))
    issued = await iot.devices.issue_token("r-3")
    async with IotClient(system.url, issued.token) as itself:
        assert (await itself.devices.get("me")).id == "r-3"
    async with DeviceConnection(*system.mqtt, "r-3", issued.token):
        pass
    with pytest.raises(Unauthenticated):
        async with DeviceConnection(*system.mqtt, "r-3", "another token"):
            raise AssertionError
    assert [one.credential async for one in iot.devices.credentials("r-3")] == [issued.credential]
    await iot.devices.revoke("r-3", issued.credential)
    assert [one async for one in iot.devices.credentials("r-3")] == []
    with pytest.raises(NotFound):
        await iot.devices.revoke("r-3", issued.credential)
