from __future__ import annotations

import logging

import pytest
import structlog
from iot_system import errors

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (errors.InvalidInput("a says b"), 400, "invalid-input"),
        (errors.TooLarge("a says b"), 413, "too-large"),
        (errors.Unauthenticated("a says b"), 401, "unauthenticated"),
        (errors.Forbidden("a says b"), 403, "forbidden"),
        (errors.NotFound("a says b"), 404, "not-found"),
        (errors.Conflict("a says b"), 409, "conflict"),
        (errors.Overloaded("a says b"), 429, "overloaded"),
        (errors.Unavailable("a says b"), 503, "unavailable"),
        (errors.Retry("a says b"), 503, "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
async def test_each_error_of_the_gateway_is_a_problem_of_its_own(
    served: Served, error: Exception, status: int, name: str
) -> None:
    served.gateway.failure = error
    body = problem(await served.admin.get("/v1/devices"), status, name)
    assert body["detail"] == "a says b"


async def test_a_word_that_is_none_of_those_allowed_is_refused_with_them(served: Served) -> None:
    await served.register("one")
    refused = [
        await served.admin.post("/v1/tokens", json={"name": "x", "role": "device"}),
        await served.admin.post("/v1/devices/one/commands/c/result", json={"status": "done"}),
        await served.admin.get("/v1/devices/one/commands", params={"status": "open"}),
    ]
    assert [problem(one, 400, "invalid-input")["detail"] for one in refused] == [
        'role is "device": it is one of admin, operator, viewer',
        'status is "done": it is one of failed, succeeded',
        "status is 'open': it is one of cancelled, delivered, expired, failed, queued, sent, succeeded, pending",
    ]


@pytest.mark.parametrize("kind", [errors.Overloaded, errors.Unavailable])
@pytest.mark.parametrize(("after_s", "header"), [(0.1, "1"), (1.0, "1"), (2.5, "3")])
async def test_a_refusal_that_may_pass_says_when_to_try_again(
    served: Served, kind: type[errors.Retry], after_s: float, header: str
) -> None:
    served.gateway.failure = kind("later", after_s=after_s)
    assert (await served.admin.get("/v1/devices")).headers["retry-after"] == header


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2"),
        errors.Fenced(frozenset({3})),
        errors.InvalidSetting("DATABASE_URL is x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_internal_error_is_logged_with_its_traceback_and_tells_the_client_nothing(
    served: Served, error: Exception
) -> None:
    served.gateway.failure = error
    with structlog.testing.capture_logs() as logged:
        response = await served.admin.get("/v1/devices")
    body = problem(response, 500, "internal-error")
    assert str(error) not in response.text
    assert body["detail"] == "something went wrong inside the system; it has been logged"
    assert [(entry["log_level"], entry["exc_info"]) for entry in logged] == [("error", error)]
    assert error.__traceback__ is not None


async def test_a_client_error_is_not_logged_as_a_failure(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as logged, caplog.at_level(logging.ERROR):
        await served.admin.get("/v1/devices/unknown")
    assert not logged
    assert not caplog.records


async def test_an_unknown_address_is_a_problem(served: Served) -> None:
    problem(await served.admin.get("/v1/nothing/here"), 404, "not-found")
    problem(await served.admin.get("/nothing"), 404, "not-found")


async def test_a_method_that_is_not_allowed_is_told_with_those_that_are(
    served: Served,
) -> None:
    response = await served.admin.put("/v1/devices", json={})
    body = problem(response, 405, "method-not-allowed")
    assert "GET" in response.headers["allow"]
    assert body["detail"] == "this address allows GET, OPTIONS, POST only"


@pytest.mark.parametrize(
    ("address", "detail"),
    [
        ("/v1/devices?limit=0", "limit is '0': expected `int` >= 1"),
        ("/v1/devices?limit=1001", "limit is '1001': expected `int` <= 1000"),
        ("/v1/devices?limit=many", "limit is 'many': expected `int`, got `str`"),
        (
            "/v1/rooms?limits=3",
            "query parameter 'limits' is not known; this route knows cursor, limit",
        ),
        (
            "/v1/devices/d?room=x",
            "query parameter 'room' is not known; this route knows none",
        ),
    ],
)
async def test_a_bad_query_parameter_is_named_with_its_value_and_limit(
    served: Served, address: str, detail: str
) -> None:
    assert problem(await served.admin.get(address), 400, "invalid-input")["detail"] == detail
