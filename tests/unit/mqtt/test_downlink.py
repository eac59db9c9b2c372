"""What a connection says of itself to the owners of its devices."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from iot_system.adapters.mqtt.broker.attachment import Attachment, session_from
from iot_system.adapters.mqtt.downlink import Downlink
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.domain import deliveries
from iot_system.domain.signals import Connected, Signal
from iot_system.ports.broker import SessionRecord, Subscription

RECORD = SessionRecord(
    owner="device:d", client_id="c", connection="one", subscriptions=(Subscription("v1/devices/d/#", qos=1),)
)


class Client:
    """Takes everything, and acknowledges nothing."""

    def __init__(self) -> None:
        self.session = session_from(RECORD, ())

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        self.session.pending += messages
        return []

    def taken_over(self) -> None:
        raise AssertionError("nobody takes it over")


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def said() -> list[Signal]:
    return []


@pytest.fixture
def downlink(client: Client, said: list[Signal]) -> Downlink:
    member = Attachment(client, client.session, RECORD, 1, MqttLimits())
    downlink = Downlink("d", "api", "one", member, now_us=lambda: 7, say=said.append)
    downlink.begin()
    said.clear()
    return downlink


def test_desired_state_that_is_sent_again_does_not_pile_up_before_a_client_that_is_slow(
    downlink: Downlink, client: Client
) -> None:
    again = deliveries.Delivery("d", "one", deliveries.Desired(3, {"a": 1}, is_whole=True), [])
    for _ in range(3):
        downlink.deliver(again)
    assert [message.topic for message in client.session.pending] == ["v1/devices/d/twin/desired"]
    client.session.pending.clear()
    downlink.deliver(again)
    assert len(client.session.pending) == 1


def test_an_owner_that_asks_whether_the_connection_is_there_is_told_once_more_what_it_listens_to(
    downlink: Downlink, said: list[Signal]
) -> None:
    downlink.deliver(deliveries.Delivery("d", "one", None, []))
    assert said == [Connected("d", "api", "one", 7, wants_desired=True, wants_commands=True)]
    downlink.end("gone")
    said.clear()
    downlink.deliver(deliveries.Delivery("d", "one", None, []))
    assert said == []
