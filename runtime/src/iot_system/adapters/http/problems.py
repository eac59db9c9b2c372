"""Problem details (RFC 9457): what a refusal looks like, and which error becomes which."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Meta, UnsetType

from iot_system import errors
from iot_system.adapters.http.choices import choices
from iot_system.adapters.http.responses import Response
from iot_system.adapters.http.rules import in_words

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class Rejection(msgspec.Struct, kw_only=True):
    """Why one item of many was refused; the others are not affected."""

    index: Annotated[int, Meta(description="Position in the list, from 0.")] | UnsetType = UNSET
    line: Annotated[int, Meta(description="Number of the line (NDJSON), from 1.")] | UnsetType = UNSET
    type: Annotated[str, Meta(description="As in problem details.", examples=["/problems/invalid-input"])]
    detail: Annotated[str, Meta(description="One sentence: the field, the limit and the value.")]


class Problem(msgspec.Struct, kw_only=True):
    """Problem details as in RFC 9457. ``type`` is stable; ``detail`` is one sentence for a person."""

    type: Annotated[str, Meta(examples=["/problems/invalid-input"])]
    title: Annotated[str, Meta(examples=["Invalid input"])]
    status: Annotated[int, Meta(examples=[400])]
    detail: Annotated[str, Meta(examples=["metric 'temperature' is null; leave it out instead"])]
    errors: list[Rejection] | UnsetType = UNSET


class Kind(msgspec.Struct, frozen=True):
    """A kind of problem: its HTTP status and the last part of its ``type``."""

    status: int
    name: str

    @property
    def type(self) -> str:
        return f"/problems/{self.name}"

    @property
    def title(self) -> str:
        return self.name.replace("-", " ").capitalize()


_INTERNAL = Kind(500, "internal-error")
_KINDS: Mapping[type[Exception], Kind] = {
    errors.TooLarge: Kind(413, "too-large"),
    errors.InvalidInput: Kind(400, "invalid-input"),
    errors.Unauthenticated: Kind(401, "unauthenticated"),
    errors.Forbidden: Kind(403, "forbidden"),
    errors.NotFound: Kind(404, "not-found"),
    errors.PreconditionFailed: Kind(412, "precondition-failed"),
    errors.Conflict: Kind(409, "conflict"),
    errors.Overloaded: Kind(429, "overloaded"),
    errors.Retry: Kind(503, "unavailable"),
}
_STATUS_KINDS: Mapping[int, Kind] = {kind.status: kind for kind in _KINDS.values()} | {
    405: Kind(405, "method-not-allowed"),
    415: Kind(415, "unsupported-media-type"),
}


class AllRefused(Exception):
    """No item of a body was good.

    Told as what may pass where one of them may: a client that tries again gets that one in, and only that way. Else as
    their common kind of problem, or as invalid input where they differ.
    """

    def __init__(self, bad: Mapping[int, Exception], rejections: list[Rejection]) -> None:
        first = next((error for _, error in sorted(bad.items()) if isinstance(error, errors.Retry)), bad[min(bad)])
        if isinstance(first, errors.Retry) or len({kind_of(error) for error in bad.values()}) == 1:
            self.error = first
        else:
            self.error = errors.InvalidInput(f"none of the {len(bad)} items could be stored; see errors")
        self.rejections = rejections
        super().__init__(str(self.error))


def kind_of(error: Exception) -> Kind:
    """The kind of problem that ``error`` is; whatever no caller can mend is an internal error."""
    if isinstance(error, HTTPException):
        if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _INTERNAL
        return _STATUS_KINDS.get(error.status_code) or Kind(error.status_code, "invalid-request")
    return next((_KINDS[one] for one in type(error).__mro__ if one in _KINDS), _INTERNAL)


def rejection(error: Exception, **position: int) -> Rejection:
    """Tell why the item at ``position`` (``index=`` or ``line=``) was refused."""
    return Rejection(type=kind_of(error).type, detail=_detail(error), **position)


def answer(error: Exception, rejections: list[Rejection] | UnsetType = UNSET) -> Response[Problem]:
    """The response for ``error``, with the refused items where there were many."""
    kind = kind_of(error)
    problem = Problem(type=kind.type, title=kind.title, status=kind.status, detail=_detail(error), errors=rejections)
    return Response(problem, status_code=kind.status, media_type=MEDIA_TYPE, headers=_headers(error))


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Litestar's hook for everything raised. An internal error is logged with its traceback and tells no more."""
    if isinstance(error, AllRefused):
        return answer(error.error, error.rejections)
    if isinstance(error, ValidationException):
        return answer(errors.InvalidInput(_broken_parameter(request, error)))
    if kind_of(error) is _INTERNAL:
        _log.error("request failed", method=request.method, path=request.scope["path"], exc_info=error)
    return answer(error)


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """OpenAPI's entries for the problems that a route may answer."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, description=_STATUS_KINDS[status].title, media_type=MEDIA_TYPE
        )
        for status in statuses
    }


def _broken_parameter(request: Request[Any, Any, Any], error: ValidationException) -> str:
    """Litestar's finding about a parameter as one sentence with its name, its value and the rule."""
    if not isinstance(error.extra, list) or not error.extra:
        return error.detail
    found: dict[str, str] = error.extra[0]
    name, rule = found.get("key", "the request"), found["message"]
    if name == "data":
        return "the body is empty"
    parameter = request.route_handler.parsed_fn_signature.parameters.get(name)
    if rule.startswith("Invalid enum") and parameter is not None:
        rule = f"it is one of {', '.join(choices(parameter.annotation))}"
    rule, value = in_words(rule), request.query_params.get(name)
    return f"{name} is {str(value)[:80]!r}: {rule[0].lower()}{rule[1:]}"


def _detail(error: Exception) -> str:
    if kind_of(error) is _INTERNAL:
        return "something went wrong inside the system; it has been logged"
    if isinstance(error, NotFoundException):
        return "nothing is at this address"
    if isinstance(error, MethodNotAllowedException):
        allowed = sorted((error.headers or {}).get("allow", "").split(", "))
        return f"this address allows {', '.join(allowed)} only"
    return error.detail if isinstance(error, HTTPException) else str(error)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.Retry):
        return {"Retry-After": str(max(1, math.ceil(error.after_s)))}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return dict(error.headers or {}) if isinstance(error, HTTPException) else {}
