"""Desired state of devices and rooms, under the version that the client has seen."""

from __future__ import annotations

import pytest

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

PATHS = ["/v1/devices/one/twin", "/v1/rooms/office/twin"]


@pytest.fixture
async def office(served: Served) -> Served:
    await served.register("one", room="office")
    return served


@pytest.mark.parametrize("path", PATHS)
async def test_a_patch_merges_and_answers_with_the_whole_state_and_its_version(office: Served, path: str) -> None:
    first = await office.admin.patch(f"{path}/desired", json={"a": 1, "b": {"c": 2, "d": 3}})
    assert (first.json(), first.headers["etag"]) == (
        {"desired": {"a": 1, "b": {"c": 2, "d": 3}}, "version": 1},
        '"1"',
    )
    second = await office.admin.patch(f"{path}/desired", json={"a": None, "b": {"c": 4}})
    assert second.json() == {"desired": {"b": {"c": 4, "d": 3}}, "version": 2}
    twin = await office.admin.get(path)
    assert (twin.json()["desired"], twin.headers["etag"]) == ({"b": {"c": 4, "d": 3}}, '"2"')


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("if_match", ['"1"', 'W/"1"', "*"])
async def test_a_patch_of_the_version_that_there_is_passes(office: Served, path: str, if_match: str) -> None:
    await office.admin.patch(f"{path}/desired", json={"a": 1})
    response = await office.admin.patch(f"{path}/desired", json={"a": 2}, headers={"If-Match": if_match})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("if_match", ['"0"', '"2"', '"abc"', 'W/"99999999999999999999"'])
async def test_a_patch_of_another_version_changes_nothing(office: Served, path: str, if_match: str) -> None:
    await office.admin.patch(f"{path}/desired", json={"a": 1})
    response = await office.admin.patch(f"{path}/desired", json={"a": 2}, headers={"If-Match": if_match})
    problem(response, 412, "precondition-failed")
    assert (await office.admin.get(path)).json()["desired"] == {"a": 1}


@pytest.mark.parametrize("if_match", ["1", '"1', '"1", "2"', ""])
async def test_a_precondition_that_is_no_tag_is_refused(office: Served, if_match: str) -> None:
    response = await office.admin.patch(f"{PATHS[0]}/desired", json={"a": 2}, headers={"If-Match": if_match})
    assert "If-Match is " in problem(response, 400, "invalid-input")["detail"]


async def test_what_is_not_there_has_no_desired_state(served: Served) -> None:
    for path in PATHS:
        problem(await served.admin.patch(f"{path}/desired", json={"a": 1}), 404, "not-found")
