"""The OpenAPI 3.1 document: its frame, and the bodies that handlers read by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)

from iot_system import __version__
from iot_system.adapters.http.bodies import Form
from iot_system.adapters.http.rules import ID_PATTERN
from iot_system.domain.ids import ID_LENGTH_LIMIT
from iot_system.domain.readings import METRICS_LIMIT

ID_SCHEMA = {"pattern": ID_PATTERN, "max_length": ID_LENGTH_LIMIT}
_SCHEME = "bearer"

_TS = Schema(
    type=OpenAPIType.NUMBER, minimum=0, description="Milliseconds since 1970 (UTC); at most 10 minutes from now."
)
_VALUES = Schema(
    type=OpenAPIType.OBJECT,
    min_properties=1,
    max_properties=METRICS_LIMIT,
    description="Metric → value: a finite number, text, a bool, or JSON up to 16 levels deep.",
)
_ORDER = {
    "seq": Schema(type=OpenAPIType.INTEGER, minimum=0, description="Grows with each message of one boot."),
    "boot": Schema(type=OpenAPIType.STRING, min_length=1, description="Names the boot that seq counts in."),
    "id": Schema(type=OpenAPIType.STRING, min_length=1, description="Names the message, so that a re-send is known."),
}
_MESSAGE = Schema(
    type=OpenAPIType.OBJECT,
    min_properties=1,
    description='`{metric: value, …}`, or `{"ts": …, "values": {metric: value, …}}`.',
)
_BULK_ITEM = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "device": Schema(type=OpenAPIType.STRING, pattern=ID_PATTERN, max_length=ID_LENGTH_LIMIT),
        "ts": _TS,
        "values": _VALUES,
        **_ORDER,
    },
    required=["device", "values"],
    additional_properties=False,
)


def openapi_config() -> OpenAPIConfig:
    """The document's frame; served as `/v1/openapi.json`."""
    return OpenAPIConfig(
        title="IoT system",
        version=__version__,
        summary="Registry, telemetry, history, twins, commands and events of devices and rooms",
        description=(
            "Times are milliseconds since 1970 (UTC). `me` stands for the caller's own device id. "
            "Every refusal is a problem detail (RFC 9457) whose `type` is stable."
        ),
        path="/v1/openapi.json",
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                _SCHEME: SecurityScheme(
                    type="http", scheme="bearer", description="An API token, a JWT, or a device's own token."
                )
            }
        ),
        security=[{_SCHEME: []}],
        tags=[
            Tag("devices", "The registry"),
            Tag("credentials", "Tokens of devices; several live at a time, so that they rotate"),
            Tag("telemetry", "Readings in, history out"),
            Tag("twins", "What devices are now, and what is wanted of them"),
            Tag("commands", "Requests to devices, each with a life of its own"),
            Tag("rooms", "Rooms, and what they are now"),
            Tag("events", "What happens"),
            Tag("tokens", "Tokens of people and programs"),
            Tag("audit", "Who changed what"),
            Tag("monitoring", "Probes and metrics; no token"),
        ],
    )


@dataclass
class TelemetryOperation(Operation):
    """Messages of the device that the path names."""

    def __post_init__(self) -> None:
        self.request_body = _body(
            "One message, or a list of them.",
            _MESSAGE,
            {"temperature": 21.5, "window": "closed"},
            {"ts": 1_700_000_000_000, "values": {"temperature": 21.5}, "seq": 7},
        )


@dataclass
class BulkTelemetryOperation(Operation):
    """Messages that name their device."""

    def __post_init__(self) -> None:
        self.request_body = _body(
            "Messages of many devices.",
            _BULK_ITEM,
            {"device": "sensor-1", "ts": 1_700_000_000_000, "values": {"temperature": 21.5}},
        )


@dataclass
class ImportOperation(Operation):
    """Devices to register, one on each line."""

    def __post_init__(self) -> None:
        lines = '{"id": "sensor-1", "room": "office"}\n{"id": "sensor-2", "labels": {"floor": "2"}}\n'
        self.request_body = RequestBody(
            description="One device on each line.",
            content={Form.NDJSON.value: _text(lines)},
            required=True,
        )


def _body(description: str, item: Schema, *examples: dict[str, Any]) -> RequestBody:
    one_or_many = Schema(one_of=[item, Schema(type=OpenAPIType.ARRAY, items=item, min_items=1)])
    named: dict[str, Example | Reference] = {
        f"example{number}": Example(value=value) for number, value in enumerate(examples, 1)
    }
    return RequestBody(
        description=description,
        content={
            Form.JSON.value: OpenAPIMediaType(schema=one_or_many, examples=named),
            Form.NDJSON.value: _text("one such object on each line\n"),
            Form.MSGPACK.value: OpenAPIMediaType(schema=Schema(description="The same as JSON, in MessagePack.")),
        },
        required=True,
    )


def _text(example: str) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING), examples={"lines": Example(value=example)})
