"""Reason codes of MQTT 5: each packet of the server bears one that its table has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import iot_system.adapters.mqtt as adapter
import pytest
from iot_system.adapters.mqtt.reasons import ALLOWED, ReasonCode
from iot_system.adapters.mqtt.refusing import refusal_of, topic_refusal
from iot_system.errors import Fenced, IotError

SOURCES = [ast.parse(path.read_text()) for path in Path(adapter.__path__[0]).rglob("*.py")]


def problems(kind: type[IotError] = IotError) -> Iterator[Exception]:
    """One of each kind that a message can be refused for."""
    yield kind(frozenset()) if kind is Fenced else kind("why")
    for one in kind.__subclasses__():
        yield from problems(one)


def codes_of(call: str) -> set[str]:
    """The reason codes that stand in the source as an argument of this call."""
    calls = [node for tree in SOURCES for node in ast.walk(tree) if isinstance(node, ast.Call)]
    arguments = [
        argument
        for one in calls
        if isinstance(one.func, ast.Name) and one.func.id == call
        for argument in [*one.args, *(keyword.value for keyword in one.keywords)]
    ]
    return {
        one.attr
        for one in arguments
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == "ReasonCode"
    }


@pytest.mark.parametrize("packet", ["PUBACK", "PUBREC"])
def test_each_refusal_of_a_message_has_a_code_of_puback_and_pubrec(packet: str) -> None:
    found = [*problems(), ValueError("unforeseen")]
    codes = {refusal(one, 0.0).code for one in found for refusal in (refusal_of, topic_refusal)}
    assert len(codes) > 4
    assert codes <= set(ALLOWED[packet].values())


@pytest.mark.parametrize(("call", "packet"), [("NotAdmitted", "CONNACK"), ("Ended", "DISCONNECT")])
def test_each_refusal_in_connack_and_each_goodbye_in_disconnect_has_a_code_of_its_packet(
    call: str, packet: str
) -> None:
    codes = {ReasonCode[name] for name in codes_of(call)}
    assert len(codes) > 3
    assert codes <= set(ALLOWED[packet].values())
